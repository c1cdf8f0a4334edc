// The text of errors: one line, without what dockerd says itself, with the way out.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type ErrorCode, errorTable } from "../../core/error-table.ts";
import { EngineError } from "../../core/errors.ts";
import { refusalText } from "./refusal.ts";

const text = (code: ErrorCode, message: string) =>
  refusalText(new EngineError(code, message), "r1");

describe("the text", () => {
  test("leaves out what dockerd puts in front, but not where the data is", () => {
    expect(text("volume.in_use", "remove wiki: volume is in use - [c1]")).toStartWith("volume is");
    const missing = "error while mounting volume '/srv/wiki/_data': the data directory is missing";
    expect(text("volume.data_missing", missing)).toBe(
      "/srv/wiki/_data: the data directory is missing. The directory of a volume that was used " +
        "is gone; bring it back before using it again.",
    );
  });

  test("is one line", () => {
    expect(text("volume.mount_failed", "mount x: no\n  such device\n")).toBe(
      "mount x: no; such device. Read the mount program's own words in the message; correct the " +
        "options or the server.",
    );
  });

  test("is never empty and never of two lines, whatever failed", () => {
    const codes = fc.constantFrom(...Object.keys(errorTable)) as fc.Arbitrary<ErrorCode>;
    fc.assert(
      fc.property(codes, fc.string({ unit: "binary" }), (code, message) => {
        const line = text(code, `x${message}`);
        expect(line).not.toMatch(/[\r\n]/);
        expect(line.length).toBeGreaterThan(0);
      }),
    );
  });
});
