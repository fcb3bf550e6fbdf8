<?php

/**
 * A client as a gateway module for WHMCS is one, on the wire: it reads `url` of the answer; of a delivery
 * it reads JSON, else form fields, and the link's id as `order_id`, else `id`; it finds the invoice by
 * `ref`, and counts a transaction once.
 */

declare(strict_types=1);

require __DIR__ . '/shop.php';

function makeLink(array $invoice): array
{
    $fields = [
        'amount' => $invoice['amount'],
        'currency' => $invoice['currency'],
        'email' => setting('KAZAWALLET_MERCHANT_EMAIL'),
        'ref' => $invoice['ref'],
        'redirectUrl' => 'https://billing.example/viewinvoice.php?id=' . $invoice['ref'],
    ];
    $answer = json_decode(post('/createPaymentLink', $fields, version: 1.1, seconds: 30.0), true);
    if (!isset($answer['url'])) {
        throw new NoLink('no url');
    }
    return ['url' => $answer['url'], 'id' => null];
}

function receive(Orders $invoices, string $body, array $form): int
{
    $delivery = json_decode($body, true) ?? $form;
    $id = $delivery['order_id'] ?? $delivery['id'] ?? null;
    if ($id === null || !isset($delivery['amount'], $delivery['ref'], $delivery['secret'], $delivery['status'])) {
        return 400;
    }
    if (!hash_equals(signature((string) $delivery['amount'], (string) $id), $delivery['secret'])) {
        return 403;
    }
    $invoice = $invoices->find($delivery['ref']);
    if ($invoice === null) {
        return 404;
    }
    if ($delivery['status'] === 'fulfilled' && !in_array($id, $invoice['paid_by'], true)) {
        $invoice['paid_by'][] = $id;
    }
    $invoice['state'] = $invoice['paid_by'] === [] ? 'timed_out' : 'paid';
    $invoices->keep($invoice);
    return 200;
}

serve(makeLink(...), receive(...));
