// Nothing that others say draws on a terminal.
import { expect, test } from "bun:test";
import { printable, printableLine, saidBy } from "./printable.ts";

test("control characters are shown, not sent", () => {
  expect(printable("\x1b[31mred\x07\r\n\tnext\u009b1m\x7f")).toBe(
    "\\x1b[31mred\\x07\\x0d\n\tnext\\x9b1m\\x7f",
  );
  expect(printable("txt\u202egnp.exe")).toBe("txt\\u202egnp.exe");
  expect(printable("Grüße, 日本 👍")).toBe("Grüße, 日本 👍");
});

test("what is shown in a column has one line", () => {
  expect(printableLine("one\ntwo\tthree\x1b")).toBe("one\\ntwo\\tthree\\x1b");
});

test("who talks without end is cut short", () => {
  expect(saidBy("x".repeat(100_000))).toHaveLength(2_001);
});
