// Operations: unique ids, the caller, and a log that follows its operation through copies.
import { expect, test } from "bun:test";
import { type LogFields, silentLog } from "../core/operation.ts";
import type { Logger } from "../host/logs.ts";
import type { HttpRequest } from "../http/message.ts";
import { Operations } from "./operations.ts";

function request(peer: HttpRequest["peer"]): HttpRequest {
  return {
    method: "GET",
    target: "/",
    path: "/",
    query: "",
    headers: new Map(),
    body: new Uint8Array(),
    isVersion11: true,
    keepsAlive: true,
    peer,
    connectionClosed: new AbortController().signal,
    isClientGone: false,
  };
}

function noting(bound: LogFields[], messages: string[]): Logger {
  return {
    bind(fields) {
      bound.push(fields);
      return { ...silentLog, info: (message) => void messages.push(message) };
    },
    droppedCount: () => 0,
    flush: async () => undefined,
  };
}

test("ids are unique, and those of two boots differ", () => {
  const logger = noting([], []);
  const first = new Operations(logger, "aaaa");
  const second = new Operations(logger, "bbbb");
  const ids = Array.from({ length: 100 }, () => [first.ofSystem().id, second.ofSystem().id]).flat();
  expect(new Set(ids).size).toBe(200);
});

test("the caller is the process at the other end, or Holdfast itself", () => {
  const operations = new Operations(noting([], []), "boot");
  expect(operations.ofRequest(request({ uid: 1, gid: 2, pid: 3 })).caller).toEqual({
    kind: "process",
    uid: 1,
    gid: 2,
    pid: 3,
  });
  expect(operations.ofSystem().caller).toEqual({ kind: "system" });
});

test("a log is bound when its first line is written, also through a copy", () => {
  const bound: LogFields[] = [];
  const messages: string[] = [];
  const operation = new Operations(noting(bound, messages), "boot").ofRequest(request(undefined));
  const copy = { ...operation, signal: new AbortController().signal };
  expect(bound).toEqual([]);
  copy.log.info("one");
  operation.log.info("two");
  expect(messages).toEqual(["one", "two"]);
  expect(bound).toEqual([{ operation: operation.id, caller: operation.caller }]);
  expect(copy.id).toBe(operation.id);
});
