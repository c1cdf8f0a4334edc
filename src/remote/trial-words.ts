// What a person reads when a test against a server fails: the step, the place, the reason, the fix.
import type { ErrorCode } from "../core/error-table.ts";
import { EngineError, toEngineError } from "../core/errors.ts";
import type { VolumeName } from "../core/names.ts";

export type TrialStep = "resolve" | "connect" | "mount" | "subpath" | "write" | "read" | "unmount";

const fixes: Readonly<Record<TrialStep, string>> = {
  resolve: "correct the name, or have this host's resolver know it",
  connect: "see that the server runs, and that no firewall is between it and this host",
  mount: "correct the options or the secret, or what the server allows this host",
  subpath: "let this host write there, or make the directory on the server",
  write: "let this host write there, or give `-o read-only=true`",
  read: "let this host read there",
  unmount: "look at what uses it on this host",
};

/** Where the reason says more than the step. */
const fixesByCode: Readonly<Partial<Record<ErrorCode, string>>> = {
  "storage.full": "make room there, or have its quota raised",
  "storage.read_only": "have the server take writes there, or give `-o read-only=true`",
  "remote.not_found": "correct the path, or make it on the server",
};

/** What does not answer may do so at any step; and a wrong option may look the same. */
const silence = "see that the server runs and can be reached, and that the options name it";

const isSilent: ReadonlySet<ErrorCode> = new Set(["remote.unreachable", "driver.timed_out"]);

/** What the person is to read as it is, because the server has no part in it. */
const ownFailures: ReadonlySet<ErrorCode> = new Set([
  ...(["secret.not_found", "secret.unreadable", "host.program_missing"] as const),
  ...(["volume.option_invalid", "operation.cancelled"] as const),
]);

/** Steps that are on the server alone: before them it is this host whose disk is full. */
const serverSteps: ReadonlySet<TrialStep> = new Set(["subpath", "write", "read"]);

/** What failed, of which volume, and what the server calls the place where it did. */
export interface FailedStep {
  readonly volume: VolumeName;
  readonly step: TrialStep;
  readonly place: string;
}

/** `remote.test_failed`, or the failure as it is where the server has no part in it. */
export function testFailed({ volume, step: asked, place }: FailedStep, thrown: unknown) {
  const error = toEngineError(thrown);
  const { code } = error;
  if (ownFailures.has(code) || (code === "storage.full" && !serverSteps.has(asked))) return error;
  // A connection fails already where its name does.
  const step = error.details["step"] === "resolve" ? "resolve" : asked;
  const reason = reasonOf(error, place);
  const isLate = step !== "connect" && step !== "resolve" && isSilent.has(code);
  const fix = isLate ? silence : (fixesByCode[code] ?? fixes[step]);
  return new EngineError(
    "remote.test_failed",
    `the test of volume ${volume} failed at the step "${step}": ${reason}. To go on, ${fix}.`,
    { cause: error, details: { step, reason, fix, code } },
  );
}

/** The helper says what it did, and in which words that was refused. */
function reasonOf({ message, details }: EngineError, place: string): string {
  const { doing, words } = details;
  if (typeof doing !== "string" || typeof words !== "string") return message.replace(/\.$/, "");
  return `${doing} in ${place} failed: ${words}`;
}
