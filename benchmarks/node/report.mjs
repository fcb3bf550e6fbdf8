// What is printed, and what the JSON file holds: lines of tables, and figures without a contender.

import { median, ratio, serverBusy, spread } from './measuring.mjs';

/**
 * One line of a table, and of the JSON file.
 *
 * @typedef {object} Figure
 * @property {string} section
 * @property {string} contender
 * @property {number} microseconds
 * @property {number} cpuMicroseconds
 * @property {number} [serverCpuMicroseconds]
 * @property {number} [serverBusy]
 * @property {import('./measuring.mjs').Ratio} [times] how many times what the package took this one
 *   took; none for the package itself
 * @property {import('./measuring.mjs').Ratio} [cpuTimes]
 * @property {number} [goal]
 * @property {boolean} [met]
 */

/**
 * A figure that has no contender.
 *
 * @typedef {object} Limit
 * @property {string} what
 * @property {string} unit
 * @property {number} value
 * @property {{ low: number, high: number }} [spread]
 * @property {number} [goal]
 * @property {boolean} [met]
 */

/**
 * Prints a table. The first contender is the package, which all others are held against.
 *
 * @param {string} section
 * @param {Record<string, import('./measuring.mjs').Rounds>} measured
 * @param {Record<string, number>} goals
 * @returns {Figure[]}
 */
export function report(section, measured, goals) {
  const [subject] = Object.values(measured);
  const figures = Object.entries(measured).map(([contender, rounds]) => {
    const goal = goals[contender];
    const times = rounds === subject ? undefined : ratio(rounds.wall, subject.wall);
    return {
      section,
      contender,
      microseconds: median(rounds.wall),
      cpuMicroseconds: median(rounds.cpu),
      ...(rounds.serverCpu.length > 0 && {
        serverCpuMicroseconds: median(rounds.serverCpu),
        serverBusy: serverBusy(rounds),
      }),
      ...(times && { times, cpuTimes: ratio(rounds.cpu, subject.cpu) }),
      ...(goal !== undefined && { goal, met: times.value >= goal }),
    };
  });
  console.log(`\n== ${section}`);
  const heads = [
    'a call',
    'a second',
    'CPU a call',
    'server CPU',
    'server busy',
    'times',
    '',
    'CPU times',
  ];
  console.log(row('', heads, '  goal'));
  for (const figure of figures) {
    console.log(row(figure.contender, cellsOf(figure), goalText(figure)));
  }
  return figures;
}

const WIDTHS = [11, 10, 12, 12, 13, 8, 17, 11];

function row(name, cells, end) {
  const filled = cells.map((cell, at) => cell.padStart(WIDTHS[at]));
  return `${name.padEnd(21)}${filled.join('')}${end}`.trimEnd();
}

/** @param {Figure} figure */
function cellsOf(figure) {
  const { serverCpuMicroseconds: serverCpu, times, cpuTimes } = figure;
  return [
    microseconds(figure.microseconds),
    Math.round(1e6 / figure.microseconds).toLocaleString('en'),
    microseconds(figure.cpuMicroseconds),
    serverCpu === undefined ? '' : microseconds(serverCpu),
    serverCpu === undefined ? '' : `${Math.round(figure.serverBusy * 100)}%`,
    times?.value.toFixed(2) ?? '',
    times ? ` (${times.low.toFixed(2)} to ${times.high.toFixed(2)})` : '',
    cpuTimes?.value.toFixed(2) ?? '',
  ];
}

/** @param {Figure} figure */
function goalText({ goal, met }) {
  return goal === undefined ? '' : `  at least ${goal}: ${verdict(met)}`;
}

/**
 * A figure that stands for itself: the median, and the spread where there are several.
 *
 * @returns {Limit}
 */
export function limit(what, unit, values, goal) {
  const value = median(values);
  const shown = {
    what,
    unit,
    value,
    ...(values.length > 1 && { spread: spread(values) }),
    ...(goal !== undefined && { goal, met: value <= goal }),
  };
  const between = shown.spread
    ? ` (${shown.spread.low.toFixed(1)} to ${shown.spread.high.toFixed(1)})`
    : '';
  const wanted = goal === undefined ? '' : `; goal at most ${goal}: ${verdict(shown.met)}`;
  console.log(`${what}: ${value.toFixed(2)} ${unit}${between}${wanted}`);
  return shown;
}

function microseconds(value) {
  return `${value.toFixed(1)} µs`;
}

function verdict(met) {
  return met ? 'met' : 'MISSED';
}
