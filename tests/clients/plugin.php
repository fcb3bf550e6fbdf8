<?php

/**
 * A client as the provider's own plugin for WooCommerce is one, on the wire: it calls with HTTP/1.0 and waits
 * five seconds; it reads `success`, `url` and `id` of the answer; of a delivery it reads JSON alone, and
 * the link's id as `id` alone; it signs its own order's total, in its shop's number of decimals; every
 * status but `fulfilled` is a time-out; every delivery is answered with 200.
 */

declare(strict_types=1);

require __DIR__ . '/shop.php';

/** The order's total, as the shop writes money. */
function total(array $order): string
{
    return number_format((float) $order['amount'], (int) setting('SHOP_DECIMALS'), '.', '');
}

function makeLink(array $order): array
{
    $fields = [
        'amount' => total($order),
        'currency' => $order['currency'],
        'email' => setting('KAZAWALLET_MERCHANT_EMAIL'),
        'ref' => $order['ref'],
        'redirectUrl' => 'https://shop.example/checkout/order-received/' . $order['ref'],
    ];
    $answer = json_decode(post('/createPaymentLink', $fields, version: 1.0, seconds: 5.0), true);
    if (($answer['success'] ?? null) !== true || !isset($answer['url'], $answer['id'])) {
        throw new NoLink('no success with a url and an id');
    }
    return ['url' => $answer['url'], 'id' => (string) $answer['id']];
}

function receive(Orders $orders, string $body, array $form): int
{
    $delivery = json_decode($body, true);
    if (!isset($delivery['id'], $delivery['ref'], $delivery['secret'], $delivery['status'])) {
        return 200;
    }
    $order = $orders->find($delivery['ref']);
    $id = (string) $delivery['id'];
    if ($order !== null && hash_equals(signature(total($order), $id), $delivery['secret'])) {
        $order['state'] = $delivery['status'] === 'fulfilled' ? 'paid' : 'timed_out';
        $order['paid_by'] = [$id];
        $orders->keep($order);
    }
    return 200;
}

serve(makeLink(...), receive(...));
