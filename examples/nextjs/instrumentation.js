/** When the server starts: what came before a restart is handled now, and not at the next delivery. */
export async function register() {
  if (process.env.NEXT_RUNTIME === 'nodejs') {
    const { POST } = await import('./app/webhooks/kazawallet/route.js');
    await POST.start();
  }
}
