// What is known of storage without a try: what its kind never has, and what its mount options say.
import {
  type Ability,
  type Answer,
  abilities,
  type Measurement,
  type StorageFacts,
} from "../../core/volume-report.ts";

interface Kind {
  /** Of the file system's name. */
  readonly pattern: RegExp;
  /** For people. */
  readonly title: string;
  /** Whether the data is on this machine's own disk. */
  readonly isHere: boolean;
  /** What it never has, whatever its server. */
  readonly lacks: readonly Ability[];
  /** Whether a program waits while the server is away, by the mount's options. */
  waits?(options: readonly string[]): Answer;
}

const has = (options: readonly string[], ...names: readonly string[]) =>
  options.some((option) => names.includes(option));

const objectStore: readonly Ability[] = [
  ...(["hard-links", "special-files", "owners", "modes", "user-attributes"] as const),
  ...(["acls", "trusted-attributes", "security-attributes", "append-elsewhere"] as const),
  ...(["flock-elsewhere", "posix-locks-elsewhere"] as const),
];

const kinds: readonly Kind[] = [
  {
    ...{ pattern: /^(ext[234]|xfs|btrfs|zfs|f2fs|bcachefs|jfs)$/, title: "a file system of Linux" },
    ...{ isHere: true, lacks: [] },
  },
  { ...{ pattern: /^overlay$/, title: "an overlay" }, ...{ isHere: true, lacks: [] } },
  { ...{ pattern: /^(tmpfs|ramfs)$/, title: "memory" }, ...{ isHere: true, lacks: [] } },
  {
    ...{ pattern: /^(vfat|msdos|exfat)$/, title: "FAT", isHere: true },
    lacks: [
      ...(["hard-links", "symlinks", "special-files", "owners", "modes"] as const),
      ...(["case-sensitive", "user-attributes", "acls", "trusted-attributes"] as const),
      ...(["names-as-given", "security-attributes"] as const),
    ],
  },
  {
    ...{ pattern: /^nfs4?$/, title: "NFS", isHere: false },
    lacks: ["acls", "trusted-attributes", "append-elsewhere"],
    waits: (options) => (has(options, "soft", "softerr") ? "no" : "yes"),
  },
  {
    ...{ pattern: /^(cifs|smb3)$/, title: "SMB", isHere: false },
    // Appends were mixed in one of two runs on one server: that a try finds none says nothing.
    lacks: ["trusted-attributes", "owners", "special-files", "append-elsewhere"],
    waits: (options) => (has(options, "hard") ? "yes" : "no"),
  },
  {
    ...{ pattern: /^fuse\.sshfs$/, title: "sshfs", isHere: false },
    lacks: [
      ...(["flock-elsewhere", "posix-locks-elsewhere", "acls"] as const),
      ...(["user-attributes", "trusted-attributes", "security-attributes"] as const),
    ],
    waits: () => "no",
  },
  {
    ...{ pattern: /^fuse\.(rclone|s3fs|goofys|gcsfuse|mountpoint-s3|davfs2?)$/ },
    ...{ title: "an object store by FUSE", isHere: false, lacks: objectStore },
    waits: () => "no",
  },
  {
    ...{ pattern: /^(ceph|fuse\.(ceph-fuse|glusterfs|juicefs)|lustre|beegfs|9p|virtiofs)$/ },
    ...{ title: "shared storage", isHere: false, lacks: [] },
  },
];

/** Those that keep nothing over a power cut, or not all that was synced. */
const forgetful = /^(tmpfs|ramfs)$/;

/** Of the volume driver's storage. See `StorageJudge.known`. */
export function knownOf(facts: StorageFacts): readonly Measurement[] {
  const kind = kinds.find(({ pattern }) => pattern.test(facts.fileSystem));
  const found = new Map<Ability, Measurement>();
  const add = (ability: Ability, answer: Answer, detail: string): void => {
    found.set(ability, { ability, answer, value: answer, figure: null, detail, tookMs: 0 });
  };
  for (const ability of kind?.lacks ?? []) add(ability, "no", `${kind?.title} has none`);
  for (const [ability, answer, detail] of followingFrom(facts, kind)) add(ability, answer, detail);
  return abilities.flatMap((ability) => found.get(ability) ?? []);
}

type Following = readonly [ability: Ability, answer: Answer, detail: string];

/** What no try can tell. */
function followingFrom(facts: StorageFacts, kind: Kind | undefined): readonly Following[] {
  const { fileSystem, options } = facts;
  const where = fileSystem === "" ? "an unknown file system" : fileSystem;
  const here: Answer = kind === undefined ? "unknown" : kind.isHere ? "yes" : "no";
  const waits = kind?.waits?.(options) ?? (kind?.isHere ? "yes" : "unknown");
  return [
    ["on-this-machine", here, here === "yes" ? "" : `the data is on ${where}`],
    powerCut(facts, kind),
    [
      "waits-for-server",
      waits,
      waits === "yes" ? "" : `with these options ${where} may fail instead of waiting`,
    ],
  ];
}

function powerCut(facts: StorageFacts, kind: Kind | undefined): Following {
  const ability = "survives-power-cut";
  const { fileSystem, options, isWrittenLater } = facts;
  if (isWrittenLater || /^fuse\.(rclone|s3fs|goofys)$/.test(fileSystem)) {
    return [ability, "no", "a sync succeeds before the data is on the server"];
  }
  if (forgetful.test(fileSystem)) return [ability, "no", "it is in memory"];
  if (options.includes("volatile")) return [ability, "no", "the overlay is `volatile`"];
  if (options.includes("nobarrier") || options.includes("barrier=0")) {
    return [ability, "no", "it is mounted without write barriers"];
  }
  const isKnown = kind !== undefined;
  return [ability, isKnown ? "yes" : "unknown", isKnown ? "" : "the file system is not known"];
}
