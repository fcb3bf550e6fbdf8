// Measures contenders in turns within one run, so that a noisy machine is noisy for each of them.
//
// What counts is each contender's time beside the other's of the same round: a machine that is slow
// for half of a run does not change that. Of these ratios the median is told, and the spread.

import { readdirSync, readFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';

/**
 * What is measured: something that makes so many calls.
 * @typedef {object} Contender
 * @property {(calls: number) => void | Promise<void>} make
 * @property {number} [fewest] how many calls it takes to be itself
 */

/**
 * What one contender took, round by round, in microseconds a call.
 * @typedef {object} Rounds
 * @property {number[]} wall
 * @property {number[]} cpu this process's CPU time, all threads, waiting excluded
 * @property {number[]} serverCpu the server's CPU time; empty where it cannot be seen
 */

/**
 * How many times what the subject took the other took.
 * @typedef {object} Ratio
 * @property {number} value
 * @property {number} low what one round in ten lies under
 * @property {number} high what one round in ten lies over
 */

/** The CPU time of the server's process, as Linux tells it; elsewhere nothing is told. */
export class ServerClock {
  #tasks;

  /** @param {number} [process] */
  constructor(process) {
    this.#tasks = process === undefined ? undefined : `/proc/${process}/task`;
  }

  /** In microseconds. */
  now() {
    if (this.#tasks === undefined) return undefined;
    try {
      let nanoseconds = 0;
      for (const task of readdirSync(this.#tasks)) {
        // Its first number is the time on a CPU.
        nanoseconds += Number.parseInt(
          readFileSync(`${this.#tasks}/${task}/schedstat`, 'utf8'),
          10,
        );
      }
      return nanoseconds / 1000;
    } catch {
      return undefined;
    }
  }
}

/**
 * Lets each contender work once a round, for about so many seconds: as long for the quick as for
 * the slow, since what else the machine does hits a longer turn more. The order changes from round
 * to round. No garbage collection is forced between the turns: one makes V8 drop code that it has
 * compiled, and more than doubled what undici and `fetch` took.
 *
 * @param {Record<string, Contender>} contenders
 * @param {{ rounds: number, seconds: number, warmUp: number, server: ServerClock }} how
 * @returns {Promise<Record<string, Rounds>>}
 */
export async function measure(contenders, { rounds, seconds, warmUp, server }) {
  const names = Object.keys(contenders);
  const calls = {};
  const measured = {};
  for (const name of names) {
    calls[name] = await callsIn(contenders[name], seconds, warmUp);
    measured[name] = { wall: [], cpu: [], serverCpu: [] };
  }
  for (let round = 0; round < rounds; round++) {
    for (const name of inTurn(names, round)) {
      const serverBefore = server.now();
      const cpuBefore = process.cpuUsage();
      const before = performance.now();
      await contenders[name].make(calls[name]);
      // What a contender put off to the event loop's next turn is its own work, too.
      await setImmediate();
      const wall = (performance.now() - before) * 1000;
      const cpu = process.cpuUsage(cpuBefore);
      const serverAfter = server.now();
      measured[name].wall.push(wall / calls[name]);
      measured[name].cpu.push((cpu.user + cpu.system) / calls[name]);
      if (serverBefore !== undefined && serverAfter !== undefined) {
        measured[name].serverCpu.push((serverAfter - serverBefore) / calls[name]);
      }
    }
  }
  return measured;
}

/**
 * All of them, beginning with another one every second round, and each second round backwards: what the
 * one before leaves the machine like is not always left to the same.
 *
 * @param {readonly string[]} names
 * @param {number} round
 */
export function inTurn(names, round) {
  const first = Math.floor(round / 2) % names.length;
  const order = [...names.slice(first), ...names.slice(0, first)];
  return round % 2 === 1 ? order.reverse() : order;
}

/**
 * About how many calls it makes in that time, once it is warm: the compiler works while it runs.
 * @param {Contender} contender
 */
async function callsIn(contender, seconds, warmUp) {
  const fewest = contender.fewest ?? 1;
  const warm = performance.now() + warmUp * 1000;
  let calls = fewest;
  for (;;) {
    const start = performance.now();
    await contender.make(calls);
    const end = performance.now();
    const took = (end - start) / 1000;
    const fitting = Math.max(fewest, Math.round((calls * seconds) / took));
    if (end >= warm && took >= seconds / 4) return fitting;
    calls = Math.min(calls * 2, Math.max(calls, fitting));
  }
}

/**
 * The share of the time that the server worked; on more than one core it can be over 1. Where it
 * comes close to its cores, it was what held us up.
 * @param {Rounds} rounds
 */
export function serverBusy({ wall, serverCpu }) {
  return serverCpu.length === 0 ? undefined : sum(serverCpu) / sum(wall);
}

/** @returns {Ratio} */
export function ratio(other, subject) {
  const byRound = other.map((took, round) => took / subject[round]);
  return { value: median(byRound), ...spread(byRound) };
}

export function median(values) {
  return quantile(values, 0.5);
}

/** All values but the lowest and the highest tenth lie between. */
export function spread(values) {
  return { low: quantile(values, 0.1), high: quantile(values, 0.9) };
}

function quantile(values, share) {
  const sorted = values.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * share;
  const below = Math.floor(place);
  const above = Math.ceil(place);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}
