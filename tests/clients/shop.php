<?php

/**
 * The shop in which each of the clients beside this file lives: orders, and three routes. A client brings
 * two functions, one that makes a payment link and one that hears of payments; those are what others
 * would write, and know nothing of this SDK.
 *
 *     POST /orders {"ref", "amount", "currency"}   makes an order and its link: 201, or 502 without one
 *     GET /orders?ref=…                            the order
 *     POST /webhook                                a delivery
 *
 * Nothing but PHP's core is needed: `php -n -S 127.0.0.1:0 plugin.php`. The variables KAZAWALLET_… are
 * those that the simulator prints; SHOP_FOLDER is where the orders are kept.
 */

declare(strict_types=1);

// What PHP would only warn of is an error.
error_reporting(E_ALL);
ini_set('display_errors', '0');
ini_set('log_errors', '1');
set_error_handler(static function (int $severity, string $message, string $file, int $line): never {
    throw new ErrorException($message, 0, $severity, $file, $line);
});

/** A link could not be made; the message says what was answered in its place. */
final class NoLink extends RuntimeException
{
}

/** The shop's orders, in a file each, by their refs. */
final class Orders
{
    public function find(string $ref): ?array
    {
        $file = $this->file($ref);
        return is_file($file) ? json_decode(file_get_contents($file), true) : null;
    }

    public function keep(array $order): void
    {
        file_put_contents($this->file($order['ref']), json_encode($order));
    }

    private function file(string $ref): string
    {
        return setting('SHOP_FOLDER') . '/' . bin2hex($ref) . '.json';
    }
}

function setting(string $name): string
{
    return getenv($name) ?: throw new RuntimeException("$name is not set");
}

/**
 * Posts JSON to an endpoint and returns the body of the answer, whatever its status.
 *
 * @param array<string, string> $fields
 */
function post(string $endpoint, array $fields, float $version, float $seconds): string
{
    $headers = [
        'content-type: application/json',
        'accept: */*',
        'x-api-key: ' . setting('KAZAWALLET_API_KEY'),
        'connection: close',
    ];
    $context = stream_context_create(['http' => [
        'method' => 'POST',
        'header' => $headers,
        'content' => json_encode($fields),
        'protocol_version' => $version,
        'timeout' => $seconds,
        'ignore_errors' => true,
    ]]);
    try {
        return file_get_contents(setting('KAZAWALLET_BASE_URL') . $endpoint, false, $context);
    } catch (ErrorException $error) {
        throw new NoLink('no answer', 0, $error);
    }
}

/** The documentation's steps from an amount and a link's id to the `secret` of a delivery. */
function signature(string $amount, string $id): string
{
    $digest = hash('sha256', "$amount:::$id:::" . setting('KAZAWALLET_API_KEY'), true);
    return base64_encode(hash_hmac('sha512', $digest, setting('KAZAWALLET_API_SECRET'), true));
}

/**
 * Serves one request.
 *
 * @param callable(array): array{url: string, id: string|null} $makeLink from an order
 * @param callable(Orders, string, array): int $receive from the raw body and the form fields of a delivery
 *     to the status that is answered
 */
function serve(callable $makeLink, callable $receive): void
{
    $orders = new Orders();
    $route = $_SERVER['REQUEST_METHOD'] . ' ' . parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
    $body = file_get_contents('php://input');
    switch ($route) {
        case 'POST /orders':
            $order = json_decode($body, true, flags: JSON_THROW_ON_ERROR) + ['state' => 'open', 'paid_by' => []];
            try {
                $order['link'] = $makeLink($order);
            } catch (NoLink $error) {
                answer(502, ['error' => $error->getMessage()]);
                return;
            }
            $orders->keep($order);
            answer(201, $order);
            return;
        case 'GET /orders':
            $order = $orders->find($_GET['ref']);
            answer($order === null ? 404 : 200, $order);
            return;
        case 'POST /webhook':
            answer($receive($orders, $body, $_POST), []);
            return;
        default:
            answer(404, []);
    }
}

function answer(int $status, mixed $body): void
{
    http_response_code($status);
    header('content-type: application/json');
    echo json_encode($body);
}
