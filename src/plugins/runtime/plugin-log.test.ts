// The log of a plugin: conmon's lines put together again, over its change of files.
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { LOG_BYTES_MAX, PluginLog, parseLog } from "./plugin-log.ts";

let folder: string;
let log: PluginLog;
beforeEach(() => {
  folder = mkdtempSync("/dev/shm/holdfast-log-");
  log = new PluginLog(join(folder, "deep/log"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const line = (text: string, stream = "stdout", tag = "F") =>
  `2026-11-26T00:27:09.977427009+00:00 ${stream} ${tag} ${text}\n`;

/** As conmon does: a new file beside, renamed over the old one. */
function changeFile(text: string): void {
  writeFileSync(`${log.path}.tmp`, text);
  renameSync(`${log.path}.tmp`, log.path);
}

const texts = (countMax = 100) => log.lines(countMax).map(({ text }) => text);

test("pieces of a line become one, each stream by itself", () => {
  const parsed = parseLog(
    line("a", "stdout", "P") +
      line("x", "stderr") +
      line("b", "stdout", "P") +
      line("c  d") +
      "no line\n\n2026 stdout F odd\n" +
      line("") +
      line("half a li", "stdout", "P"),
  );
  expect(parsed.map(({ stream, text }) => `${stream} ${text}`)).toEqual([
    ...["stderr x", "stdout abc  d", "stdout odd", "stdout "],
  ]);
  expect(parsed[0]?.atMs).toBe(Date.parse("2026-11-26T00:27:09.977Z"));
});

test("what is not there has no lines", () => {
  expect(texts()).toEqual([]);
  log.keep();
  log.prepare();
  expect(texts()).toEqual([]);
  log.remove();
  expect(existsSync(join(folder, "deep/log"))).toBe(false);
});

test("the file before the last stays, whether or not the change was seen", () => {
  log.prepare();
  appendFileSync(log.path, line("1"));
  log.keep();
  appendFileSync(log.path, line("2"));
  changeFile(line("3"));
  expect(texts()).toEqual(["1", "2", "3"]);
  log.keep();
  expect(texts()).toEqual(["1", "2", "3"]);
  changeFile(line("4"));
  expect(texts()).toEqual(["1", "2", "3", "4"]);
  log.keep();
  expect(texts()).toEqual(["3", "4"]);
  expect(texts(1)).toEqual(["4"]);
  expect(texts(0)).toEqual([]);
});

test("a file is changed before a start too, and what is read is bounded", () => {
  log.prepare();
  const many = line("x".repeat(1_000)).repeat(Math.ceil((3 * LOG_BYTES_MAX) / 1_000));
  writeFileSync(log.path, many);
  expect(texts(100_000).length).toBeLessThan((2 * LOG_BYTES_MAX) / 1_000);
  log.prepare();
  expect(existsSync(log.path)).toBe(false);
  appendFileSync(log.path, line("new"));
  expect(texts(2)).toEqual(["x".repeat(1_000), "new"]);
});
