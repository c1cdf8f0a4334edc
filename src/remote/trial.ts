// The test of options against the server, step by step, each failure with its reason and its fix.
//
// The share is mounted at a place of its own for as long as this takes, and a volume's directory is
// made there, which may be what the test is for.
import type { DriverOptions } from "../core/driver.ts";
import { toEngineError } from "../core/errors.ts";
import type { VolumeName } from "../core/names.ts";
import { type Operation, unfired } from "../core/operation.ts";
import { connectTo } from "./connect.ts";
import type { Place } from "./layout.ts";
import { within } from "./limited.ts";
import { readOptions } from "./options.ts";
import type { RemoteDriverParts } from "./parts.ts";
import { probe } from "./probe.ts";
import type { Sessions } from "./sessions.ts";
import { takeStep } from "./steps.ts";
import { type TrialStep, testFailed } from "./trial-words.ts";

/** How long the mount of a test may take, and each other step of it, in milliseconds. */
const MOUNT_MS_MAX = 45_000;
const STEP_MS_MAX = 20_000;

export interface TrialRequest<Options> {
  readonly volume: VolumeName;
  /** Where it is mounted meanwhile; made already, and the caller's to remove. */
  readonly place: Place;
  readonly options: DriverOptions;
  /** What a mark says if the directory is made; null: a directory that is made stays nobody's. */
  readonly mark: string | null;
  /** False: only what has to be made is. */
  readonly isTested: boolean;
  /** The volume's directory has to be there already, and nothing is made. */
  readonly mustExist?: true | undefined;
  /**
   * Called with whether the volume's directory was made, while it can still be unmade, which it is
   * when this throws.
   */
  readonly commit: (isMade: boolean) => void;
  readonly sessions: Sessions<Options>;
  readonly parts: RemoteDriverParts;
}

/**
 * Tests, and makes the directory `subpath` where it is missing. Nothing is mounted and nothing made
 * when it throws: `remote.test_failed` with `details.step` (`TrialStep`), `details.reason`,
 * `details.fix` and `details.code`, and what has nothing to do with the server as it is.
 */
export async function tryOut<Options>(
  request: TrialRequest<Options>,
  operation: Operation,
): Promise<void> {
  const { volume, place, options, sessions, parts, isTested } = request;
  const { own, common } = readOptions(sessions.kind, options);
  const step = stepper(volume, sessions.placeOf(options), operation);
  if (isTested) await sessions.kind.vet?.(own, operation);
  // Before anything else: no server is bothered for a secret that is not there.
  await sessions.mountFor({ volume, place }, options).secret?.();
  const address = sessions.kind.address(own);
  if (isTested && address !== undefined) {
    await step("connect", 2 * STEP_MS_MAX, (inner) =>
      connectTo(address, inner, () => parts.host.monotonicMs()),
    );
  }
  // Where nothing is to be made it is mounted as it will be.
  const isWhole = common.isReadOnly || request.mustExist === true;
  const whole = isWhole ? options : withoutSubpath(options);
  const mounted = sessions.kind.writeBack?.trialOptions(whole) ?? whole;
  const at = { volume, place };
  await step("mount", MOUNT_MS_MAX, (inner) => sessions.begin(at, mounted, inner));
  try {
    if (common.isReadOnly) await lookOnly(request, step);
    else {
      const subpath = isWhole ? "" : common.subpath;
      await makeAndProbe(request, { mounted, subpath }, step, operation);
    }
  } catch (thrown) {
    await endQuietly(request, mounted, operation);
    throw thrown;
  }
  await step("unmount", MOUNT_MS_MAX, (inner) =>
    sessions.end(at, mounted, { isLost: false }, inner),
  );
}

/** The share itself. */
export function withoutSubpath({ subpath: _, ...options }: DriverOptions): DriverOptions {
  return options;
}

type Stepper = <T>(
  step: TrialStep,
  limitMs: number,
  work: (operation: Operation) => Promise<T>,
) => Promise<T>;

function stepper(volume: VolumeName, place: string, operation: Operation): Stepper {
  return async (step, limitMs, work) => {
    try {
      operation.signal.throwIfAborted();
      return await within({ limitMs, what: `the step "${step}"` }, operation, work);
    } catch (thrown) {
      operation.signal.throwIfAborted();
      throw testFailed({ volume, step, place }, thrown);
    }
  };
}

async function lookOnly<Options>(request: TrialRequest<Options>, step: Stepper): Promise<void> {
  const { place, parts, isTested, commit } = request;
  if (isTested) {
    await step("read", STEP_MS_MAX, (inner) => parts.host.askStorage(place.data, inner));
  }
  commit(false);
}

async function makeAndProbe<Options>(
  request: TrialRequest<Options>,
  { mounted, subpath }: { readonly mounted: DriverOptions; readonly subpath: string },
  step: Stepper,
  operation: Operation,
): Promise<void> {
  const { volume, place, parts, isTested, mark, sessions } = request;
  const { host } = parts;
  const made = subpath === "" ? [] : await makeSubpath(request, subpath, step);
  try {
    if (isTested) {
      const probing = { sessions, host, at: { volume, place }, mounted, path: subpath };
      await step("write", STEP_MS_MAX, (inner) => probe(probing, inner));
    }
    operation.signal.throwIfAborted();
    request.commit(mark !== null && subpath !== "" && made.at(-1) === subpath);
  } catch (thrown) {
    await unmake(request, made, operation);
    throw thrown;
  }
}

async function makeSubpath<Options>(
  { place, parts, mark }: TrialRequest<Options>,
  path: string,
  step: Stepper,
): Promise<readonly string[]> {
  const make = { do: "make", path, mark } as const;
  const outcome = await step("subpath", STEP_MS_MAX, (inner) =>
    takeStep(parts.host, place.data, make, inner),
  );
  return outcome.made;
}

/** In time of its own: the operation's may be over, which is why it is unmade. */
async function unmake<Options>(
  { place, parts, mark }: TrialRequest<Options>,
  made: readonly string[],
  operation: Operation,
): Promise<void> {
  if (made.length === 0) return;
  try {
    const limit = { limitMs: STEP_MS_MAX, what: "taking back what was made" };
    const step = { do: "unmake", made, mark: mark ?? "" } as const;
    await within(limit, unfired(operation), (inner) =>
      takeStep(parts.host, place.data, step, inner),
    );
  } catch (thrown) {
    const { message } = toEngineError(thrown);
    operation.log.warn("an empty directory is left on the server", { made, error: message });
  }
}

async function endQuietly<Options>(
  { volume, place, sessions }: TrialRequest<Options>,
  options: DriverOptions,
  operation: Operation,
): Promise<void> {
  const own = unfired(operation);
  try {
    await sessions.end({ volume, place }, options, { isLost: false }, own);
  } catch (thrown) {
    const { message } = toEngineError(thrown);
    operation.log.warn("a test's mount is taken away lazily", { volume, error: message });
    await sessions.end({ volume, place }, options, { isLost: true }, own).catch(() => undefined);
  }
}
