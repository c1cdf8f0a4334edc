// What other tools call what our commands do, for people who know those.

/** Our words by theirs, without `holdfast`. */
const lines: Readonly<Record<string, readonly string[]>> = {
  "volume ls": ["ls", "list", "ps", "volumes"],
  "volume create": ["create", "volume add", "volume make", "volume new"],
  "volume inspect": ["inspect", "volume describe", "volume get", "volume info", "volume show"],
  "volume rm": ["rm", "remove", "delete", "volume delete", "volume destroy"],
  "volume rename": ["rename", "mv", "volume mv", "volume move"],
  "volume update": ["volume edit", "volume modify", "volume set"],
  "volume prune": [
    "prune",
    "gc",
    "clean",
    "cleanup",
    "volume clean",
    "volume cleanup",
    "volume gc",
  ],
  "volume flush": ["sync", "flush", "volume sync"],
  "volume history": ["history", "audit", "volume events", "volume log", "volume logs"],
  "volume publish": ["publish", "deploy"],
  "volume rm --purge": ["purge", "volume purge"],
  "df -v": ["du", "usage", "volume df", "volume du", "volume size", "volume usage"],
  "doctor VOLUME": ["volume check", "volume doctor", "volume fsck", "volume test"],
  info: ["status", "volume status"],
  drivers: ["driver ls"],
  "trash restore": [
    ...["restore", "undelete", "recover", "undo", "volume restore", "volume undelete"],
    ...["volume recover", "trash recover", "trash undelete", "trash undo"],
  ],
  "trash purge": ["trash delete", "trash remove", "trash rm"],
  "trash purge --all": ["trash clean", "trash clear", "trash empty", "trash prune"],
  "secret create": ["secret add", "secret new"],
  "secret create --replace": [
    ...["secret edit", "secret put", "secret replace", "secret rotate", "secret set"],
    ...["secret update"],
  ],
  "secret rm": ["secret delete"],
  "lock run": ["flock", "lock exec", "volume lock"],
  "lock acquire": ["lock get", "lock lock", "lock take"],
  "lock release": ["unlock", "lock delete", "lock free", "lock rm", "lock unlock"],
  "lock steal": ["lock break", "lock force"],
  "plugin install": ["plugin add"],
  "plugin rm": ["plugin delete", "plugin uninstall"],
};

/** Our options by theirs, each with the command. */
const options: Readonly<Record<string, readonly string[]>> = {
  "volume prune --plan": ["--dry-run", "-n", "--whatif", "--simulate"],
  "volume rm --purge": ["--permanent", "--no-trash", "--skip-trash"],
  "trash purge --yes": ["--force", "-f"],
  "secret create --replace": ["--force", "-f", "--update", "--overwrite"],
  "lock acquire --wait": ["--timeout"],
  "lock run --wait": ["--timeout"],
};

const meantLines = byTheirs(lines);
const meantOptions = byTheirs(
  Object.fromEntries(
    Object.entries(options).map(([ours, theirs]) => {
      const command = ours.slice(0, ours.indexOf(" --"));
      return [ours, theirs.map((option) => `${command} ${option}`)];
    }),
  ),
);

function byTheirs(table: Readonly<Record<string, readonly string[]>>): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(table).flatMap(([ours, theirs]) => theirs.map((each) => [each, ours])),
  );
}

/** `trash purge --all` for `trash empty`; undefined: nobody calls anything of ours so. */
export function lineCalled(words: string): string | undefined {
  return meantLines.get(words);
}

/** `--plan` for `volume prune` and `--dry-run`; undefined: as above. */
export function optionCalled(command: string, option: string): string | undefined {
  return meantOptions.get(`${command} ${option}`)?.slice(command.length + 1);
}

/** All of ours that are named here: for a test that they are there. */
export const namedHere: readonly string[] = [...Object.keys(lines), ...Object.keys(options)];
/** All of theirs: none may be one of ours. */
export const theirLines: readonly string[] = [...meantLines.keys()];
