// The error table is closed: every code is thrown somewhere, and every kind has its words.
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { errorTable } from "./error-table.ts";
import { EngineError, isErrno, storageCode, storageError, toEngineError } from "./errors.ts";

const source = path.resolve(import.meta.dir, "..");

function sources(): readonly string[] {
  return readdirSync(source, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
    .filter((file) => file !== path.join("core", "error-table.ts"))
    .map((file) => readFileSync(path.join(source, file), "utf8"));
}

test("every code of the table is used outside of it", () => {
  const text = sources().join("\n");
  const unused = Object.keys(errorTable).filter((code) => {
    const quoted = `"${code}"`;
    return !text.includes(quoted);
  });
  expect(unused).toEqual([]);
});

test("every recovery is a sentence", () => {
  for (const { recovery } of Object.values(errorTable)) {
    expect(recovery).toMatch(/^[A-Z].*\.$/);
  }
});

test("what is no EngineError is a bug, with its cause", () => {
  const cause = new TypeError("x is not a function");
  const error = toEngineError(cause);
  expect([error.code, error.kind, error.cause]).toEqual(["internal.bug", "internal", cause]);
  const known = new EngineError("storage.full", "full");
  expect(toEngineError(known)).toBe(known);
});

test("errno names become storage codes", () => {
  const failed = Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
  expect(isErrno(failed, "ENOSPC")).toBe(true);
  expect(isErrno(failed, "EIO")).toBe(false);
  expect(storageError(failed, "creating").code).toBe("storage.full");
  expect(storageError(failed, "creating").details).toEqual({ errno: "ENOSPC" });
  expect(storageCode(Object.assign(new Error("x"), { code: "EPERM" }))).toBe("host.denied");
  expect(storageCode("no error at all")).toBe("storage.failed");
  expect(storageError(Object.assign(new Error("x"), { code: "EIO" }), "x").code).toBe(
    "storage.failed",
  );
  expect(storageError(failed, "creating 'a'").message).toBe(
    "error while creating 'a': no space left on device",
  );
});
