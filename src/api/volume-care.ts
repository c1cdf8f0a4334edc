// What somebody said of a volume, as the `Status` of `docker volume inspect` shows it.
import type { VolumeName } from "../core/names.ts";
import type { StateView, VolumeEntry } from "../core/state-store.ts";
import { aliasesOf } from "../engine/aliases.ts";
import type { Engine } from "../engine/engine.ts";

/** Nothing at all of a volume that nobody has said anything of. */
export interface CareObject {
  /** The volume's own name, where it was asked for by an alias. */
  readonly "alias-of"?: string;
  readonly aliases?: readonly string[];
  readonly note?: string;
  /** Why it is protected. */
  readonly protected?: string;
  /** What is wrong with where its data is, and with who writes to it. */
  readonly warnings?: readonly string[];
}

/** Sentences without their full stop; none is the rule. */
export function volumeWarnings(
  { unfitData, sharedDatabases }: Pick<Engine, "unfitData" | "sharedDatabases">,
  name: VolumeName,
): readonly string[] {
  const shared = sharedDatabases.of(name);
  const words = unfitData.warningsOf(name);
  return shared === undefined ? words : [...words, shared.sentence];
}

/** `asked`: the name or alias that the volume was asked for by. O(aliases). */
export function careObject(
  engine: Pick<Engine, "unfitData" | "sharedDatabases">,
  { entry, asked }: { readonly entry: VolumeEntry; readonly asked: string },
  view: StateView,
): CareObject {
  const warnings = volumeWarnings(engine, entry.name);
  const { name, note, protection } = entry;
  const aliases = aliasesOf(view, name);
  return {
    ...(asked === name ? {} : { "alias-of": name }),
    ...(aliases.length === 0 ? {} : { aliases }),
    ...(note === null ? {} : { note }),
    ...(protection === null ? {} : { protected: protection.reason }),
    ...(warnings.length === 0 ? {} : { warnings }),
  };
}
