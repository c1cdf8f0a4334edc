// The systemd units of an installation, as text.
//
// src/daemon/listeners.ts tells the two sockets apart by their FileDescriptorName=.

export interface UnitValues {
  /** The absolute path of the installed executable. */
  readonly executable: string;
  /** Who may use the API's socket. */
  readonly group: string;
  /** The data root. */
  readonly root: string;
}

/** Names of the units, in the order in which they are enabled. */
export const unitNames = ["holdfast.socket", "holdfast-plugin.socket", "holdfast.service"] as const;

/** By unit name. */
export function renderUnits(values: UnitValues): Readonly<Record<UnitName, string>> {
  return {
    "holdfast.socket": apiSocket(values),
    "holdfast-plugin.socket": pluginSocket,
    "holdfast.service": service(values),
  };
}

export type UnitName = (typeof unitNames)[number];

/** Units that start containers: they find the sockets there already, and stop before us. */
const engines = "docker.service podman.service podman-restart.service";

const head = `# Written by "holdfast install"; "systemctl edit" outlives upgrades.
`;

function service({ executable, root }: UnitValues): string {
  return `${head}
[Unit]
Description=Holdfast keeps the volumes of containers
Documentation=man:holdfast(1)
After=local-fs.target holdfast.socket holdfast-plugin.socket
# Not Requires=: a socket that cannot be had is no reason to be without the other.
Wants=holdfast.socket holdfast-plugin.socket
# Engines stop before Holdfast does, so that their last Unmount finds somebody.
Before=${engines}
RequiresMountsFor=${unitWord(root)}
# It keeps data: it is tried for as long as the machine runs.
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart=${unitWord(executable)} daemon
Restart=on-failure
RestartSec=1
# A configuration that makes no sense (2) does not get better by trying.
RestartPreventExitStatus=2
# Engines wait for the start: not for ever.
TimeoutStartSec=2min
# Requests in progress have ten seconds.
TimeoutStopSec=30
# Only the daemon itself is ended. What serves a mount (a FUSE helper such as sshfs) runs in this
# control group too, and so does conmon, the parent of a managed plugin (the plugin itself runs in
# one below /holdfast): they must outlive a restart and an upgrade, because containers use their
# volumes. For the same reason the kernel's killing one of them does not stop the service.
KillMode=process
OOMPolicy=continue
OOMScoreAdjust=-500
LimitNOFILE=65536
TasksMax=infinity
# Never PrivateTmp=, ProtectSystem=, ProtectHome=, PrivateDevices=, PrivateMounts=, ReadOnlyPaths=,
# BindPaths=, RootDirectory= or anything else that gives the daemon a mount namespace of its own:
# volumes would be mounted where no container sees them, and Docker would silently use the empty
# directory below.

[Install]
WantedBy=multi-user.target
Also=holdfast.socket holdfast-plugin.socket
`;
}

function apiSocket({ group }: UnitValues): string {
  return `${head}
[Unit]
Description=The socket of Holdfast's clients
Documentation=man:holdfast(1)
Before=${engines}

[Socket]
ListenStream=/run/holdfast/holdfast.sock
FileDescriptorName=api
# Who is in the group is as good as root.
SocketMode=0660
SocketUser=root
SocketGroup=${group}
RemoveOnStop=yes

[Install]
WantedBy=sockets.target
`;
}

const pluginSocket = `${head}
[Unit]
Description=The socket of Holdfast's volume driver
Documentation=man:holdfast(1)
# systemd listens before an engine starts: a driver's socket on which nobody listens costs Docker
# 15 seconds per command.
Before=${engines}

[Socket]
ListenStream=/run/docker/plugins/holdfast.sock
FileDescriptorName=plugin
Service=holdfast.service
SocketMode=0600
SocketUser=root
SocketGroup=root
# A dead socket that is left behind would cost as much.
RemoveOnStop=yes

[Install]
WantedBy=sockets.target
`;

/** systemd.syntax(7): percent signs begin specifiers, a dollar sign a variable. */
function unitWord(text: string): string {
  const escaped = text.replaceAll("%", "%%");
  if (/^[\w./%+,:@-]+$/.test(escaped)) return escaped;
  return `"${escaped.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("$", "$$$$")}"`;
}
