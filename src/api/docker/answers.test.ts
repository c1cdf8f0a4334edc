// Answers: which status every error has on Docker's routes, and JSON as Go spells it.
import { expect, test } from "bun:test";
import { testFacts } from "../../../test/support/api-bench.ts";
import { type ErrorCode, errorTable } from "../../core/error-table.ts";
import { EngineError } from "../../core/errors.ts";
import { dockerHeaders, dockerStatus, goJson, mapJson } from "./answers.ts";

test("every code has moby's status", () => {
  const expected: Readonly<Record<ErrorCode, number>> = {
    "request.invalid": 400,
    "request.no_route": 404,
    "filter.invalid": 400,
    "volume.name_invalid": 400,
    "volume.option_invalid": 400,
    "volume.not_found": 404,
    "volume.exists_differently": 409,
    "volume.in_use": 409,
    "volume.shared_elsewhere": 409,
    "volume.written_elsewhere": 409,
    "volume.not_visible": 503,
    "containers.unreachable": 503,
    "engine.unknown": 404,
    "volume.data_missing": 500,
    "volume.data_foreign": 500,
    "volume.unknown": 500,
    "volume.mount_failed": 500,
    "volume.unmount_failed": 500,
    "volume.moving": 409,
    "volume.protected": 409,
    "volume.name_taken": 409,
    "confirmation.missing": 400,
    "host.unsupported": 501,
    "trash.not_found": 404,
    "trash.ambiguous": 409,
    "trash.purging": 409,
    "prune.plan_not_found": 404,
    "adoption.in_use": 409,
    "adoption.other_file_system": 501,
    "adoption.refused": 501,
    "driver.not_found": 404,
    "driver.timed_out": 503,
    "driver.suspended": 503,
    "driver.unsupported": 501,
    "plugin.not_found": 404,
    "plugin.ambiguous": 400,
    "plugin.exists": 409,
    "plugin.reference_invalid": 400,
    "plugin.config_invalid": 500,
    "plugin.image_invalid": 500,
    "plugin.privileges": 500,
    "plugin.setting_invalid": 500,
    "plugin.enabled": 409,
    "plugin.disabled": 409,
    "plugin.in_use": 409,
    "plugin.start_failed": 500,
    "plugin.unreachable": 500,
    "plugin.failed": 500,
    "registry.unreachable": 500,
    "registry.denied": 500,
    "registry.not_found": 500,
    "registry.failed": 500,
    "remote.test_failed": 500,
    "remote.unreachable": 500,
    "remote.denied": 500,
    "remote.not_found": 500,
    "remote.unsaved": 409,
    "secret.not_found": 404,
    "secret.exists": 409,
    "secret.in_use": 409,
    "secret.invalid": 400,
    "secret.unreadable": 500,
    "lock.name_invalid": 400,
    "lock.timed_out": 409,
    "lock.expired": 409,
    "lock.stolen": 409,
    "lock.not_held": 404,
    "lock.no_volume": 403,
    "lock.too_many": 500,
    "publish.path_invalid": 400,
    "publish.archive_invalid": 400,
    "publish.target_unfit": 409,
    "publish.not_atomic": 501,
    "publish.nothing_kept": 404,
    "publish.changed": 409,
    "prune.running": 409,
    "storage.full": 500,
    "storage.read_only": 500,
    "storage.failed": 500,
    "state.locked": 409,
    "state.too_new": 501,
    "state.moved": 409,
    "host.program_missing": 503,
    "host.denied": 500,
    "config.invalid": 400,
    "install.impossible": 501,
    "install.held": 409,
    "install.failed": 503,
    "engine.not_a_container_engine": 501,
    "engine.in_use": 409,
    "engine.no_swarm": 503,
    "engine.no_such_object": 404,
    "engine.overloaded": 503,
    "engine.stopping": 503,
    "operation.cancelled": 500,
    "operation.timed_out": 503,
    "internal.bug": 500,
  };
  // Object.keys widens the keys of the closed table.
  const codes = Object.keys(errorTable) as ErrorCode[];
  const actual = codes.map((code) => [code, dockerStatus(new EngineError(code, "x"))]);
  expect(Object.fromEntries(actual)).toEqual(expected);
});

test("headers stand in the order in which Go sends them, and say who we are", () => {
  const headers = dockerHeaders(testFacts);
  for (const list of Object.values(headers)) {
    const names = list.map(([name]: readonly [string, string]) => name);
    expect(names).toEqual([...names].sort());
  }
  const json = Object.fromEntries(headers.json);
  expect(json).toEqual({
    "Api-Version": "1.51",
    "Content-Type": "application/json",
    "Docker-Experimental": "false",
    Ostype: "linux",
    Server: "Holdfast/1.2.3 (linux)",
  });
  expect(Object.fromEntries(headers.empty)).not.toHaveProperty("Content-Type");
});

test("JSON is spelt as Go spells it, and says the same", () => {
  for (const text of [
    "<&>",
    "\b\f\n",
    "\\b\\f",
    "\\\b",
    "\u2028\u2029",
    "\u007f",
    "é",
    "\\u2028",
  ]) {
    expect(JSON.parse(goJson(text))).toBe(text);
  }
  expect(goJson("\b\f\\b\u2028")).toBe('"\\u0008\\u000c\\\\b\\u2028"');
  expect(goJson({ a: ["<"] })).toBe('{"a":["<"]}');
});

test("maps are sorted by the bytes of their keys", () => {
  expect(mapJson(null)).toBe("null");
  expect(mapJson({})).toBe("{}");
  expect(mapJson({ "9": "a", "10": "b", "-": "c" })).toBe('{"-":"c","10":"b","9":"a"}');
  expect(mapJson({ "\uff5e": "1", "😀": "2", é: "3" })).toBe('{"é":"3","\uff5e":"1","😀":"2"}');
  expect(JSON.parse(mapJson(Object.fromEntries([["__proto__", "x"]])))).toEqual(
    Object.fromEntries([["__proto__", "x"]]),
  );
});
