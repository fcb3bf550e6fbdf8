// A program that uses one of the clients, in a process of its own: `bench.mjs` starts it to see how
// soon it has its first answer, and how much memory it takes.
//
//     node program.mjs CLIENT first-answer
//     node program.mjs CLIENT memory CALLS

import { CLIENTS, merchantInEnvironment } from './http-calls.mjs';

const [, , client, what, calls] = process.argv;
const { create, close } = await CLIENTS[client](merchantInEnvironment());
if (what === 'first-answer') {
  console.log(await create());
  console.log(JSON.stringify(process.cpuUsage()));
} else {
  const fresh = process.memoryUsage.rss();
  for (let call = 0; call < Number(calls); call++) {
    await create();
  }
  console.log(JSON.stringify({ fresh, used: process.memoryUsage.rss() }));
}
await close();
