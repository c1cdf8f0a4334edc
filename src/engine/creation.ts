// Makes a volume: its row and its storage, so that a crash between them heals.
import type { VolumeDriver, VolumeRecord } from "../core/driver.ts";
import type { Host } from "../core/host.ts";
import type { Operation } from "../core/operation.ts";
import type { StateStore, VolumeEntry } from "../core/state-store.ts";
import { unsaid } from "./description.ts";
import { driverOptions } from "./engine-options.ts";
import { historyEntry } from "./history-entry.ts";

export interface CreationParts {
  readonly state: StateStore;
  readonly host: Host;
}

/** A volume before its driver has answered. */
export type Wanted = Omit<VolumeEntry, "createdAtMs" | "phase">;

/** What a volume is before its driver has answered. */
export const unmade = {
  origin: "made",
  mountpoint: "",
  identity: "",
  usedAtMs: null,
  ...unsaid,
} as const;

/** What is to be made; the caller has the lease of the name, and nothing has it. */
export interface Creation {
  readonly driver: VolumeDriver;
  readonly wanted: Wanted;
}

/** Resolves when the volume is on disk; when it throws, nothing of it is left. */
export async function makeVolume(
  parts: CreationParts,
  { driver, wanted }: Creation,
  operation: Operation,
): Promise<VolumeEntry> {
  return driver.rebuild === undefined
    ? await createBracketed(parts, { driver, wanted }, operation)
    : await createFromRow(parts, { rebuild: driver.rebuild, wanted }, operation);
}

/** One commit: the row is the truth, and the next start makes again what a crash left unmade. */
async function createFromRow(
  parts: CreationParts,
  made: { readonly rebuild: NonNullable<VolumeDriver["rebuild"]>; readonly wanted: Wanted },
  operation: Operation,
): Promise<VolumeEntry> {
  const { state, host } = parts;
  const { rebuild, wanted } = made;
  const spec = { name: wanted.name, options: driverOptions(wanted.options) };
  const described = rebuild.describe(spec);
  const entry: VolumeEntry = { ...wanted, ...described, options: wanted.options, phase: "ready" };
  await putCreated(parts, entry, operation);
  let record: VolumeRecord;
  try {
    record = rebuild.createNow(spec);
  } catch (error) {
    await state.write((transaction) => {
      transaction.removeVolume(entry.name);
      transaction.addHistory(historyEntry(host, { action: "undo", entry }, operation));
    });
    throw error;
  }
  if (record.identity === "") return entry;
  // Somebody has put a directory here meanwhile: it may hold data, so it counts as used.
  const found = { ...entry, identity: record.identity, usedAtMs: host.nowMs() };
  await state.write((transaction) => transaction.putVolume(found));
  return found;
}

/** Two commits around an effect that a row cannot make again. Recovery forgets, never destroys. */
async function createBracketed(
  parts: CreationParts,
  { driver, wanted }: Creation,
  operation: Operation,
): Promise<VolumeEntry> {
  const { state, host } = parts;
  const spec = { name: wanted.name, options: driverOptions(wanted.options) };
  const started: VolumeEntry = { ...wanted, createdAtMs: host.nowMs(), phase: "creating" };
  // Of what a power cut leaves at a plugin, its List tells.
  const how = { isLazy: driver.isPlugin === true };
  await state.write((transaction) => transaction.putVolume(started), how);
  try {
    const { createdAtMs, mountpoint, identity, origin } = await driver.create(spec, operation);
    const entry: VolumeEntry = {
      ...{ ...wanted, mountpoint, identity, origin, phase: "ready" },
      // A plugin may not know.
      createdAtMs: createdAtMs > 0 ? createdAtMs : started.createdAtMs,
    };
    await putCreated(parts, entry, operation);
    return entry;
  } catch (error) {
    await state.write((transaction) => transaction.removeVolume(wanted.name));
    throw error;
  }
}

async function putCreated(
  { state, host }: CreationParts,
  entry: VolumeEntry,
  operation: Operation,
): Promise<void> {
  await state.write((transaction) => {
    transaction.putVolume(entry);
    transaction.addHistory(historyEntry(host, { action: "create", entry }, operation));
  });
}
