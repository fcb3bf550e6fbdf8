<?php

/**
 * A client as the provider's documentation tells to write one: the documented request, and of a delivery
 * `order_id`, `amount`, `secret` and `status`, with the signature computed over that amount.
 */

declare(strict_types=1);

require __DIR__ . '/shop.php';

function makeLink(array $order): array
{
    $fields = [
        'amount' => $order['amount'],
        'currency' => $order['currency'],
        'email' => setting('KAZAWALLET_MERCHANT_EMAIL'),
        'ref' => $order['ref'],
        'redirectUrl' => 'https://shop.example/?kazawallet=success',
    ];
    $answer = json_decode(post('/createPaymentLink', $fields, version: 1.1, seconds: 30.0), true);
    // No answer is documented; the address of the link is the least that a shop needs.
    if (!isset($answer['url'])) {
        throw new NoLink('no url');
    }
    return ['url' => $answer['url'], 'id' => null];
}

function receive(Orders $orders, string $body, array $form): int
{
    $delivery = json_decode($body, true);
    if (!isset($delivery['order_id'], $delivery['secret'], $delivery['amount'], $delivery['status'])) {
        return 400;
    }
    if (!hash_equals(signature($delivery['amount'], $delivery['order_id']), $delivery['secret'])) {
        return 401;
    }
    $order = $orders->find($delivery['ref']);
    if ($order === null) {
        return 404;
    }
    $order['state'] = $delivery['status'] === 'fulfilled' ? 'paid' : 'timed_out';
    $order['paid_by'] = [$delivery['order_id']];
    $orders->keep($order);
    return 200;
}

serve(makeLink(...), receive(...));
