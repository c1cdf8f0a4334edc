// Where an installation's files lie: the paths that Debian's programs look at.
import type { InstalledTexts } from "../core/installation.ts";
import { renderUnits, type UnitName, unitNames } from "./units.ts";

export const executablePath = "/usr/local/bin/holdfast";

const unitFolder = "/etc/systemd/system";

/** Where a unit's file lies. */
export function unitPath(name: UnitName): string {
  return `${unitFolder}/${name}`;
}

/** What was written, so that `uninstall` takes back exactly that. */
export const manifestPath = "/usr/local/lib/holdfast/manifest.json";

export interface TextFile {
  readonly path: string;
  readonly text: string;
}

export interface LayoutValues {
  readonly group: string;
  readonly root: string;
  readonly texts: InstalledTexts;
}

/** Every file but the executable and the manifest; all are 0644. */
export function textFiles({ group, root, texts }: LayoutValues): readonly TextFile[] {
  const units = renderUnits({ executable: executablePath, group, root });
  return [
    ...unitNames.map((name) => ({ path: unitPath(name), text: units[name] })),
    { path: "/usr/local/share/man/man1/holdfast.1", text: texts.manPage },
    { path: "/usr/local/share/bash-completion/completions/holdfast", text: texts.bash },
    { path: "/usr/local/share/zsh/site-functions/_holdfast", text: texts.zsh },
    { path: "/usr/local/share/fish/vendor_completions.d/holdfast.fish", text: texts.fish },
  ];
}
