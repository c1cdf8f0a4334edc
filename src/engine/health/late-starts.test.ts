// Containers that an engine could not start while storage was late, and those that nobody starts.
import { describe, expect, test } from "bun:test";
import { containerWith, memoryEngine } from "../../../test/support/memory-engine.ts";
import { testOperation } from "../../../test/support/operation.ts";
import { parseVolumeName } from "../../core/names.ts";
import { type LogFields, silentLog, systemCaller } from "../../core/operation.ts";
import type { ContainerList } from "../container-lists.ts";
import { isRuleRefusal } from "../sharing/admissions.ts";
import { LateStarts } from "./late-starts.ts";

const media = parseVolumeName("media");
const other = parseVolumeName("other");

test("who wants a volume that was refused is started when its storage answers, once", async () => {
  const memory = memoryEngine();
  const engine = memory.finder.ofCaller(memory.caller);
  if (engine === undefined) throw new Error("there is no engine");
  const ids = ["a", "b", "c", "d"].map((digit) => digit.repeat(64));
  const [failed = "", running = "", stranger = "", stopped = ""] = ids;
  for (const id of [failed, running, stranger]) memory.failedAtVolume.add(id);
  const containers = [
    containerWith("media", { id: failed, isRunning: false }),
    containerWith("media", { id: running }),
    containerWith("other", { id: stranger, isRunning: false }),
    containerWith("media", { id: stopped, isRunning: false }),
  ].map((container) => ({ ...container, engine, aliases: [] }));
  const list: ContainerList = { containers, unreachable: [] };
  const starts = new LateStarts({ ask: async () => list });
  const operation = { ...testOperation(), caller: systemCaller };

  // Nobody was refused it: whoever does not run is not meant to.
  starts.noteAnswer(media, operation);
  await starts.settled();
  expect(memory.startedAgain).toEqual([]);

  starts.noteRefused(media);
  starts.noteAnswer(other, operation);
  await starts.settled();
  expect(memory.startedAgain).toEqual([]);

  starts.noteAnswer(media, operation);
  starts.noteAnswer(media, operation);
  await starts.settled();
  expect(memory.startedAgain).toEqual([failed]);
});

describe("when the driver socket is served", () => {
  const ids = ["a", "b", "c", "d"].map((digit) => digit.repeat(64));
  const [unreached = "", refused = "", running = "", ended = ""] = ids;

  function stage() {
    const memory = memoryEngine();
    const engine = memory.finder.ofCaller(memory.caller);
    if (engine === undefined) throw new Error("there is no engine");
    for (const id of [unreached, refused, running]) memory.failedAtVolume.add(id);
    const containers = [
      containerWith("media", { id: unreached, name: "player", isRunning: false }),
      containerWith("other", { id: refused, isRunning: false }),
      containerWith("media", { id: running }),
      containerWith("media", { id: ended, isRunning: false }),
    ].map((container) => ({ ...container, engine, aliases: [] }));
    const lines: string[] = [];
    const note = (message: string, facts?: LogFields) =>
      void lines.push(`${message} ${JSON.stringify(facts)}`);
    const log = { ...silentLog, info: note, warn: note };
    const answers: ContainerList[] = [];
    const starts = new LateStarts({
      ask: async () => answers.shift() ?? { containers, unreachable: [] },
    });
    const serve = async (signal = new AbortController().signal) => {
      starts.noteServing({ ...testOperation(signal), log });
      await starts.settled();
    };
    return { memory, lines, answers, serve };
  }

  test("who failed at the driver is started, and nobody whom a rule kept out", async () => {
    const { memory, lines, serve } = stage();
    const rule = "volume other has sharing=onewriter, and db has it read-write";
    memory.failures.set(refused, `error while mounting volume '': VolumeDriver.Mount: ${rule}`);
    await serve();
    expect(memory.startedAgain).toEqual([unreached]);
    expect(lines).toEqual([
      "a container was started: its engine had given up on it while Holdfast was away " +
        '{"container":"player","volumes":"media"}',
    ]);
  });

  test("who fails again is named with the reason, and not tried again", async () => {
    const { memory, lines, answers, serve } = stage();
    memory.failedAtVolume.delete(refused);
    memory.failsAgain.add(unreached);
    await serve();
    expect(memory.startedAgain).toEqual([unreached]);
    expect(lines).toEqual([
      "a container could not be started on which its engine gave up while Holdfast was away " +
        '{"container":"player","volumes":"media","error":"it answered 500"}',
    ]);
    expect(answers).toEqual([]);
  });

  test("an engine that is silent is asked again, and one that works on a container", async () => {
    const { memory, lines, answers, serve } = stage();
    memory.failedAtVolume.delete(refused);
    const unreachable = [{ key: memory.key, reason: "it starts up" }];
    answers.push({ containers: [], unreachable });
    memory.failsAgain.add(unreached);
    memory.busy.add(unreached);
    memory.afterBusyQuestion = () => {
      memory.busy.clear();
      memory.failsAgain.clear();
    };
    await serve();
    expect(memory.busyQuestions).toEqual([unreached]);
    expect(memory.startedAgain).toEqual([unreached, unreached]);
    expect(lines.map((line) => line.split(":", 1)[0])).toEqual(["a container was started"]);
  });

  test("nothing goes on after the end of this life", async () => {
    const { memory, answers, serve } = stage();
    const ending = new AbortController();
    answers.push({ containers: [], unreachable: [{ key: memory.key, reason: "it starts up" }] });
    const served = serve(ending.signal);
    ending.abort(new Error("stopping"));
    await served;
    expect(memory.startedAgain).toEqual([]);
  });
});

test("refusals by a rule are told from what was late or broken", () => {
  const mount = "error while mounting volume '/x': VolumeDriver.Mount: ";
  for (const words of [
    "volume wiki has sharing=none and is in use by db. Stop it first",
    "volume wiki has sharing=onewriter, and db has it read-write",
    "volume wiki (PostgreSQL 15) has database=exclusive, and db has it read-write",
  ]) {
    expect([words, isRuleRefusal(`${mount}${words}`)]).toEqual([words, true]);
  }
  for (const words of [
    "the storage on 10.0.0.6 does not answer",
    "volume wiki has database=exclusive, and db has it read-write, and the container engine " +
      "does not say yet whether this one would write too",
    "volume wiki: its data is missing",
  ]) {
    expect([words, isRuleRefusal(`${mount}${words}`)]).toEqual([words, false]);
  }
});
