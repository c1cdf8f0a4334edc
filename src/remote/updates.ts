// Other options for a volume that is there: tested, written down, and in effect as soon as nothing
// is lost by it: at once where what is mounted has fallen silent, for that is waited for in vain.
import type { UpdateCapable } from "../core/driver.ts";
import { toEngineError } from "../core/errors.ts";
import type { VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import { type Workshop, withFreshPlace } from "./creation.ts";
import type { Place } from "./layout.ts";
import { within } from "./limited.ts";
import { mustBeStored, type RemoteMounts } from "./mounts.ts";
import { optionInvalid, readOptions } from "./options.ts";
import { recordOf, type StoredVolume, sameOptions, writeStored } from "./record.ts";
import { tryOut } from "./trial.ts";

/** What is mounted and does not answer in this time is given up for what does, in milliseconds. */
const OLD_ANSWER_MS_MAX = 10_000;

export function remoteUpdate<Options>(
  shop: Workshop<Options>,
  mounts: RemoteMounts,
): UpdateCapable {
  const { sessions, layout } = shop;

  /** What is mounted takes the new options where it can; else it ends when nobody holds it. */
  async function takeEffect({ name, stored, isTested }: Updated, operation: Operation) {
    const place = layout.volume(name);
    if (sessions.mountedAt(place) === undefined) return;
    const mount = sessions.mountFor({ volume: name, place }, stored.options);
    try {
      // First: also where a refresh fails it goes on as it was.
      sessions.noteWaiting(place);
      if ((await sessions.kind.refresh?.(mount, operation)) === true) {
        sessions.note(place, stored.options);
        return;
      }
      if (!mounts.isHeld(name)) await mounts.letGo(name, stored, operation);
      else if (isTested && (await isSilent(shop, place, operation))) {
        operation.log.warn("what is mounted is silent, and mounted anew", { volume: name });
        await mounts.replace(name, stored, operation);
      } else operation.log.info("new options wait for the last holder's end", { volume: name });
    } catch (thrown) {
      // They are written down, and the next mount has them.
      const { code, message } = toEngineError(thrown);
      operation.log.warn("new options wait for another mount", { volume: name, code, message });
    }
  }

  return {
    async update({ name, options }, operation) {
      operation.signal.throwIfAborted();
      const stored = mustBeStored(shop, name);
      const { isTested, subpath } = readOptions(sessions.kind, options).common;
      refuseOtherData(stored, subpath);
      const updated: StoredVolume = { ...stored, options };
      if (isTested) await testStored(shop, name, updated, operation);
      operation.signal.throwIfAborted();
      if (!sameOptions(stored.options, options)) writeStored(layout.volume(name), updated);
      await takeEffect({ name, stored: updated, isTested }, operation);
      return recordOf(name, updated, layout.volume(name));
    },

    isWaiting: (name) => sessions.isWaiting(layout.volume(name)),
  };
}

interface Updated {
  readonly name: VolumeName;
  readonly stored: StoredVolume;
  /** The new options have just been seen to work. */
  readonly isTested: boolean;
}

/** Whether what is mounted there does not answer, or never will again. */
async function isSilent<Options>(
  { parts }: Workshop<Options>,
  { data }: Place,
  operation: Operation,
): Promise<boolean> {
  const limit = { limitMs: OLD_ANSWER_MS_MAX, what: "the answer of what is mounted" };
  try {
    await within(limit, operation, (inner) => parts.host.askStorage(data, inner));
    return false;
  } catch {
    operation.signal.throwIfAborted();
    return true;
  }
}

/** A volume stays the same data; where its server says that is may change. */
function refuseOtherData({ options }: StoredVolume, subpath: string): void {
  const before = options["subpath"] ?? "";
  if (before === subpath) return;
  const words = `another directory is another volume (it is "${before}")`;
  throw optionInvalid("subpath", `invalid option: "subpath": ${words}`);
}

/**
 * As at create, except that a directory which is missing is not the volume's. Throws
 * `remote.test_failed`.
 */
export async function testStored<Options>(
  shop: Workshop<Options>,
  name: VolumeName,
  { options }: StoredVolume,
  operation: Operation,
): Promise<void> {
  const { sessions, parts } = shop;
  await withFreshPlace(shop, operation, async (place) => {
    const request = { volume: name, place, options, mark: null, isTested: true };
    await tryOut(
      { ...request, mustExist: true, commit: () => undefined, sessions, parts },
      operation,
    );
  });
}
