// A server that answers every request with the same bytes: what the simulator answered to the first.
//
// Where many calls are in flight the simulator is as busy as the quickest client, since it reads,
// checks and keeps each request. This one takes half of its time, so that the client is what is
// measured. `bench.mjs` forks it and is told its port.

import net from 'node:net';

const simulator = new URL(process.argv[2]);
const HEAD_END = '\r\n\r\n';

/** @type {Buffer | undefined} */
let answer;

const server = net.createServer((socket) => {
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy()); // The client is gone.
  onMessages(socket, async (request) => {
    answer ??= await answerTo(request);
    socket.write(answer);
  });
});
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
process.once('disconnect', () => process.exit());

/** @param {Buffer} request */
function answerTo(request) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(Number(simulator.port), simulator.hostname);
    socket.once('error', reject);
    onMessages(socket, (message) => {
      socket.destroy();
      resolve(message);
    });
    // The simulator answers to its own name alone.
    const named = request.latin1Slice().replace(/(?<=\r\nhost: *)[^\r]+/i, simulator.host);
    socket.write(named, 'latin1');
  });
}

/** Calls back with each HTTP message that came whole: its head, and as much as that says. */
function onMessages(socket, callback) {
  let received = Buffer.alloc(0);
  socket.on('data', (bytes) => {
    received = received.length === 0 ? bytes : Buffer.concat([received, bytes]);
    for (let end = endOf(received); end <= received.length; end = endOf(received)) {
      callback(received.subarray(0, end));
      received = received.subarray(end);
    }
  });
}

/** Where the first message ends. */
function endOf(received) {
  const head = received.indexOf(HEAD_END);
  if (head === -1) {
    return Number.POSITIVE_INFINITY;
  }
  const [, length] = /\r\ncontent-length: *(\d+)/i.exec(received.latin1Slice(0, head)) ?? [];
  return head + HEAD_END.length + Number(length ?? 0);
}
