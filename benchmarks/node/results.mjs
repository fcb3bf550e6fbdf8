// What was found: tables and lines for a person, and the file that `--json` names, in the shape that
// benchmarks/README.md describes.

import { writeFileSync } from 'node:fs';

import { median, ratio, serverBusy, spread } from './measuring.mjs';

/**
 * What one contender took: a median of rounds, and the deciles around it.
 *
 * @typedef {{ median: number, low: number, high: number, cpu?: number }} Taken
 */

/**
 * One figure of the file.
 *
 * @typedef {object} Result
 * @property {string} name
 * @property {string} title
 * @property {string} unit
 * @property {Taken} ours
 * @property {(Taken & { of: string }) | null} baseline
 * @property {number} [ratio] the median of the rounds' own
 * @property {number} [ratio_low]
 * @property {number} [ratio_high]
 * @property {number} [cpu_ratio]
 * @property {'baseline/ours'} [ratio_is]
 * @property {number | null} goal
 * @property {'at_least' | 'at_most'} [goal_is]
 * @property {'ratio' | 'ours'} [of_goal]
 * @property {boolean | null} met `null` where no goal was set
 */

/**
 * What is measured, by its stable name, and what the ratio is to be at least, or, where there is no
 * baseline, what ours is to be at most.
 *
 * @typedef {{ name: string, title: string, unit: string, goal?: number }} Subject
 */

/**
 * What a contender took, round by round, in the subject's unit.
 *
 * @typedef {{ wall: number[], cpu?: number[] }} Series
 */

/** @param {Series} series @returns {Taken} */
function taken({ wall, cpu }) {
  return { median: median(wall), ...spread(wall), ...(cpu && { cpu: median(cpu) }) };
}

/**
 * What ours took beside what people would use instead, in the same rounds.
 *
 * @param {Subject} subject
 * @param {Series} ours
 * @param {string} of
 * @param {Series} other
 * @returns {Result}
 */
export function beside({ name, title, unit, goal }, ours, of, other) {
  const { value, low, high } = ratio(other.wall, ours.wall);
  return {
    name,
    title: `${title}, beside ${of}`,
    unit,
    ours: taken(ours),
    baseline: { of, ...taken(other) },
    ratio: value,
    ratio_low: low,
    ratio_high: high,
    ...(ours.cpu && other.cpu && { cpu_ratio: ratio(other.cpu, ours.cpu).value }),
    ratio_is: 'baseline/ours',
    ...held(value, goal, 'at_least', 'ratio'),
  };
}

/**
 * A figure that stands for itself.
 *
 * @param {Subject} subject
 * @param {number[]} values
 * @returns {Result}
 */
export function alone({ name, title, unit, goal }, values) {
  const ours = taken({ wall: values });
  return {
    name,
    title,
    unit,
    ours,
    baseline: null,
    ...held(ours.median, goal, 'at_most', 'ours'),
  };
}

/**
 * @template {'at_least' | 'at_most'} Is
 * @template {'ratio' | 'ours'} Of
 * @param {number} value
 * @param {number | undefined} goal
 * @param {Is} goalIs
 * @param {Of} ofGoal
 */
function held(value, goal, goalIs, ofGoal) {
  if (goal === undefined) {
    return { goal: null, met: null };
  }
  const met = goalIs === 'at_least' ? value >= goal : value <= goal;
  return { goal, goal_is: goalIs, of_goal: ofGoal, met };
}

/**
 * @param {string} file
 * @param {Record<string, string>} versions
 * @param {Result[]} results
 */
export function writeResults(file, versions, results) {
  writeFileSync(file, `${JSON.stringify({ versions, results }, undefined, 1)}\n`);
}

/**
 * Prints a table of calls. The first contender is the package, which all others are held against.
 *
 * @param {string} title
 * @param {Record<string, import('./measuring.mjs').Rounds>} measured
 * @param {string} name the figures' stable name, to which each contender's key is added
 * @param {Record<string, string>} keys
 * @param {Record<string, number>} goals
 * @returns {Result[]}
 */
export function tableOfCalls(title, measured, name, keys, goals = {}) {
  const [[subject, ours], ...others] = Object.entries(measured);
  console.log(`\n== ${title}`);
  console.log(row('', HEADS, '  goal'));
  console.log(row(subject, cellsOf(ours), ''));
  return others.map(([contender, rounds]) => {
    const key = keys[contender];
    const figure = { name: `${name}.${key}`, title, unit: 'µs', goal: goals[key] };
    const result = beside(figure, ours, contender, rounds);
    const times = [
      result.ratio.toFixed(2),
      ` (${result.ratio_low.toFixed(2)} to ${result.ratio_high.toFixed(2)})`,
      result.cpu_ratio.toFixed(2),
    ];
    console.log(row(contender, [...cellsOf(rounds), ...times], goalText(result)));
    return result;
  });
}

const HEADS = [
  'a call',
  'a second',
  'CPU a call',
  'server CPU',
  'server busy',
  'times',
  '',
  'CPU times',
];
const WIDTHS = [11, 10, 12, 12, 13, 8, 17, 11];

/**
 * @param {string} name
 * @param {string[]} cells
 * @param {string} end
 */
function row(name, cells, end) {
  const filled = cells.map((cell, at) => cell.padStart(WIDTHS[at]));
  return `${name.padEnd(21)}${filled.join('')}${end}`.trimEnd();
}

/** @param {import('./measuring.mjs').Rounds} rounds */
function cellsOf(rounds) {
  const wall = median(rounds.wall);
  const busy = serverBusy(rounds);
  return [
    microseconds(wall),
    Math.round(1e6 / wall).toLocaleString('en'),
    microseconds(median(rounds.cpu)),
    busy === undefined ? '' : microseconds(median(rounds.serverCpu)),
    busy === undefined ? '' : `${Math.round(busy * 100)}%`,
  ];
}

/** @param {Result} result */
export function print(result) {
  const { title, unit, ours, baseline } = result;
  const between = ours.low === ours.high ? '' : ` (${shown(ours.low)} to ${shown(ours.high)})`;
  const cpu = result.cpu_ratio === undefined ? '' : `, in CPU time ${result.cpu_ratio.toFixed(2)}`;
  const other = baseline
    ? `; ${baseline.of} ${shown(baseline.median)} ${unit}, that is ${result.ratio.toFixed(2)} times as much${cpu}`
    : '';
  const goal = goalText(result).replace(/^ +/, '; goal ');
  console.log(`${title}: ${shown(ours.median)} ${unit}${between}${other}${goal}`);
}

/** @param {Result} result */
function goalText({ goal, goal_is: is, met }) {
  return goal === null ? '' : `  ${is.replace('_', ' ')} ${goal}: ${met ? 'met' : 'MISSED'}`;
}

/** @param {number} value */
function microseconds(value) {
  return `${value.toFixed(1)} µs`;
}

/** @param {number} value */
function shown(value) {
  return value.toFixed(value < 10 ? 2 : 1);
}
