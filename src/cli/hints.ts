// The way out of what a daemon may say, for people: one sentence per known message.

const freeTheName =
  "or free the name with: holdfast volume rm --force NAME. What the plugin still has is listed " +
  "again when it is back.";

const ways: readonly { readonly when: RegExp; readonly way: string }[] = [
  {
    when: /volume is in use - \[/,
    way: "Remove the containers it names first (docker rm ID), or choose another volume.",
  },
  {
    when: /cannot be asked which ones its containers have/,
    way: "Start that engine again; one that is gone for good: holdfast engine forget KEY",
  },
  {
    when: /volume is protected: /,
    way: "Lift the protection, which wants the name again, with: holdfast volume unprotect NAME",
  },
  {
    when: /no such volume$/,
    way: "List the volumes that exist with: holdfast volume ls",
  },
  {
    when: /includes invalid characters for a local volume name/,
    way: "Choose a name of letters, digits, _ . and -, which begins with a letter or a digit.",
  },
  {
    when: /volume name is too short/,
    way: "Choose a name of at least two characters.",
  },
  {
    when: /daemon: plugin "[^"]*" not found$/,
    way: "List the plugins that are installed with: holdfast plugin ls",
  },
  {
    when: /daemon: plugin \S+ is in use$/,
    way: "Remove its volumes first, or use --force: they stay listed, and wait for the plugin.",
  },
  {
    when: /plugin \S+ is enabled$|cannot set on an active plugin/,
    way: "Stop it first with: holdfast plugin disable PLUGIN",
  },
  {
    // A removal, or what looks whether a volume is there before it.
    when: /daemon: (?:get|remove) .*plugin "[^"]*" not found/,
    way: `Install its plugin again, ${freeTheName}`,
  },
  {
    when: /daemon: (?:get|remove) .*plugin \S+ (?:found but disabled|does not answer)/,
    way: `Bring its plugin back, ${freeTheName}`,
  },
  {
    when: /plugin \S+ does not answer: /,
    way: "See how it does with: holdfast plugin ls. It is tried again by itself.",
  },
  {
    when: /plugin \S+ already exists$/,
    way: "Give another name (--alias), or renew the plugin with: holdfast plugin upgrade",
  },
  {
    when: /daemon: plugin \S+ is being installed$/,
    way: "Wait for that, or give another name with --alias.",
  },
  {
    when: /access denied, repository does not exist|no basic auth credentials/,
    way: "Check the name, or log in first, as the user who asks here, with: docker login REGISTRY",
  },
  {
    when: /server gave HTTP response to HTTPS client$/,
    way: "Start the daemon with --insecure-registry HOST:PORT for a registry without TLS.",
  },
  {
    when: /x509: certificate/,
    way: "Put its authority's certificate into /etc/docker/certs.d/HOST:PORT/ca.crt.",
  },
  {
    when: /error resolving plugin reference: \S+: not found$/,
    way: "Check the name and the tag; without one it is :latest.",
  },
  {
    when: /error resolving plugin reference: failed to do request: /,
    way: "Check the registry's name and that it can be reached from the daemon's host.",
  },
  {
    when: /not found in the plugin configuration$|" is not settable$|one must be specified$/,
    way: "See what can be set with: holdfast plugin inspect -f '{{json .Settings}}' PLUGIN",
  },
  {
    when: /incorrect privileges$/,
    way: "It asks for something else by now: start again, and read what it wants.",
  },
  {
    when: /OCI runtime create failed|daemon: dial unix \S+: connect: /,
    way: "See what it wrote with: holdfast plugin logs PLUGIN",
  },
  {
    when: /found but disabled$/,
    way: "Start it with: holdfast plugin enable PLUGIN",
  },
  {
    when: /error looking up volume plugin \S+: plugin "[^"]*" not found/,
    way: "See the known drivers with: holdfast drivers, and plugins with: holdfast plugin ls",
  },
  {
    when: /^Error response from daemon: .*invalid option: "(?:[^"\\]|\\.)*"$/,
    way:
      "Known are type, device, o and size of the driver local; sharing, database, owner, mode, " +
      "trash, reclaim, on-stale and guard of all.",
  },
  {
    when: /quota size requested but no quota support/,
    way:
      "Leave size out, or limit a volume in memory with: " +
      "-o type=tmpfs -o device=tmpfs -o o=size=64m",
  },
  {
    when: /there is no secret \S+$/,
    way: "Make it with: holdfast secret create NAME",
  },
  {
    when: /missing required option: "[^"]*"$/,
    way: "The local driver needs type and device together; o needs both.",
  },
  {
    // Of storage on other machines.
    when: /missing required option: "|the options are /,
    way: "See a driver's options with: holdfast drivers DRIVER",
  },
  {
    when: /volume name must be unique/,
    way: "Use the driver that has the volume (-d), or another name.",
  },
  {
    when: /a prune operation is already running/,
    way: "Wait for it to end, then try again.",
  },
  {
    when: /[Ii]nvalid filter '/,
    way: "See the filters of the command with --help.",
  },
];

/** What a person can do about `message`, or undefined. */
export function wayOut(message: string): string | undefined {
  return ways.find(({ when }) => when.test(message))?.way;
}
