// What the log has of a refusal.
import { expect, test } from "bun:test";
import { testOperation } from "../../test/support/operation.ts";
import { EngineError } from "../core/errors.ts";
import type { Log, LogFields } from "../core/operation.ts";
import { reportRefusal } from "./refusal-report.ts";

test("a lock's id is in no log", () => {
  const lines: (readonly [string, LogFields | undefined])[] = [];
  const note = (message: string, fields?: LogFields) => void lines.push([message, fields]);
  const log: Log = { debug: note, info: note, warn: note, error: note };
  const path = `/holdfast/v1/volumes/wiki/locks/a/leases/${"0123456789abcdef".repeat(2)}`;
  for (const code of ["engine.stopping", "lock.not_held"] as const) {
    const context = {
      // Nothing else of a request is looked at.
      request: { method: "PUT", path } as Parameters<typeof reportRefusal>[1]["request"],
      operation: { ...testOperation(), log },
    };
    expect(reportRefusal(new EngineError(code, "no"), context).code).toBe(code);
  }
  expect(lines.map(([, fields]) => fields?.["path"])).toEqual(
    Array(2).fill("/holdfast/v1/volumes/wiki/locks/a/leases/…"),
  );
});
