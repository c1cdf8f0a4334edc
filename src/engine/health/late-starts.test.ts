// Containers that an engine could not start while storage was late, and those that nobody starts.
import { expect, test } from "bun:test";
import { containerWith, memoryEngine } from "../../../test/support/memory-engine.ts";
import { testOperation } from "../../../test/support/operation.ts";
import { parseVolumeName } from "../../core/names.ts";
import { systemCaller } from "../../core/operation.ts";
import type { ContainerList } from "../container-lists.ts";
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
