// What the next daemon must know of a lock that this one gave: text of the lease's own.
import type { LockBond, LockHolder } from "../../core/lock.ts";

/** A lock's secret part, what its life hangs on, and who has it. */
export interface KeptLock {
  /** 32 hex digits: who knows it may renew and release. */
  readonly id: string;
  readonly bond: LockBond;
  /** When the process of `holder.pid` began, where the bond is "process"; else "". */
  readonly start: string;
  readonly holder: LockHolder;
  /** See `LockRequest.share`. */
  readonly share: string | undefined;
}

const bonds: readonly string[] = ["connection", "process", "none"] satisfies readonly LockBond[];

export function keptText({ id, bond, start, holder, share }: KeptLock): string {
  return JSON.stringify({ id, bond, start, ...holder, share });
}

/** undefined: it is none of ours. */
export function keptLock(text: string): KeptLock | undefined {
  const fields = parsed(text);
  const word = (name: string): string => String(fields[name] ?? "");
  const [id, bond] = [word("id"), fields["bond"]];
  const { container, share } = fields;
  if (!/^[0-9a-f]{32}$/.test(id) || !isBond(bond)) return undefined;
  return {
    ...{ id, bond, start: word("start"), share: typeof share === "string" ? share : undefined },
    holder: {
      pid: Number(fields["pid"]) || 0,
      program: word("program"),
      label: word("label"),
      container: typeof container === "string" ? container : null,
    },
  };
}

function isBond(value: unknown): value is LockBond {
  return typeof value === "string" && bonds.includes(value);
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
