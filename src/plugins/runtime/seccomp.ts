// System calls that a plugin does not get: what Docker's default profile keeps from containers.
//
// Docker runs plugins without any profile (seen in a bundle of 20.10: no `linux.seccomp`), so that
// plugins may rely on calls that no list of allowed ones would have. This one says what is
// forbidden: calls that need a capability go with it, and those that the kernel gives to every root
// although they reach beyond the plugin's namespaces (keys, BPF, user namespaces) are for plugins
// with CAP_SYS_ADMIN: ceph's and cifs' mount helpers put secrets into the kernel's keyring.

/** As the OCI runtime specification has it. */
export interface Seccomp {
  readonly defaultAction: "SCMP_ACT_ALLOW";
  readonly architectures: readonly string[];
  readonly syscalls: readonly SeccompRule[];
}

interface SeccompRule {
  readonly names: readonly string[];
  readonly action: "SCMP_ACT_ERRNO";
  readonly errnoRet: number;
  readonly args?: readonly {
    readonly index: number;
    readonly value: number;
    readonly valueTwo: number;
    readonly op: "SCMP_CMP_MASKED_EQ";
  }[];
}

const EPERM = 1;
const ENOSYS = 38;
const CLONE_NEWUSER = 0x1000_0000;

const admin = "CAP_SYS_ADMIN";

interface Withheld {
  readonly names: string;
  /** With one of these the calls are allowed; none: never. */
  readonly unless: readonly string[];
}

/** Names that this machine's libseccomp does not know are passed over by the runtime. */
const withheld: readonly Withheld[] = [
  { names: "bpf", unless: [admin, "CAP_BPF"] },
  { names: "perf_event_open", unless: [admin, "CAP_PERFMON"] },
  { names: "syslog", unless: [admin, "CAP_SYSLOG"] },
  { names: "add_key keyctl request_key", unless: [admin] },
  { names: "mount umount umount2 mount_setattr move_mount open_tree", unless: [admin] },
  { names: "fsconfig fsmount fsopen fspick pivot_root", unless: [admin] },
  { names: "quotactl quotactl_fd lookup_dcookie fanotify_init setns", unless: [admin] },
  { names: "sethostname setdomainname swapon swapoff", unless: [admin] },
  { names: "userfaultfd", unless: [admin, "CAP_SYS_PTRACE"] },
  { names: "kcmp pidfd_getfd process_madvise", unless: ["CAP_SYS_PTRACE"] },
  { names: "process_vm_readv process_vm_writev", unless: ["CAP_SYS_PTRACE"] },
  { names: "open_by_handle_at", unless: ["CAP_DAC_READ_SEARCH"] },
  { names: "init_module finit_module delete_module", unless: ["CAP_SYS_MODULE"] },
  { names: "iopl ioperm", unless: ["CAP_SYS_RAWIO"] },
  { names: "settimeofday stime clock_settime clock_settime64", unless: ["CAP_SYS_TIME"] },
  { names: "clock_adjtime clock_adjtime64", unless: ["CAP_SYS_TIME"] },
  { names: "reboot kexec_load kexec_file_load", unless: ["CAP_SYS_BOOT"] },
  { names: "acct", unless: ["CAP_SYS_PACCT"] },
  { names: "vhangup", unless: ["CAP_SYS_TTY_CONFIG"] },
  { names: "io_uring_setup io_uring_enter io_uring_register", unless: [] },
  { names: "create_module query_module get_kernel_syms nfsservctl uselib", unless: [] },
  { names: "ustat sysfs _sysctl vm86 vm86old", unless: [] },
];

/** By Node's name of the processor. */
const architectures: Readonly<Record<string, readonly string[]>> = {
  x64: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
  arm64: ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
};

/** undefined: nothing is known of this processor, and no profile is better than a wrong one. */
export function seccompOf(
  capabilities: readonly string[],
  architecture: string,
): Seccomp | undefined {
  const known = architectures[architecture];
  if (known === undefined) return undefined;
  const names = withheld
    .filter(({ unless }) => !unless.some((one) => capabilities.includes(one)))
    .flatMap((one) => one.names.split(" "));
  return {
    defaultAction: "SCMP_ACT_ALLOW",
    architectures: known,
    syscalls: [
      { names, action: "SCMP_ACT_ERRNO", errnoRet: EPERM },
      ...(capabilities.includes(admin) ? [] : withoutUserNamespaces),
    ],
  };
}

/** The flags of clone3 lie in memory, where no filter looks: C libraries fall back to clone. */
const withoutUserNamespaces: readonly SeccompRule[] = [
  {
    names: ["clone", "unshare"],
    action: "SCMP_ACT_ERRNO",
    errnoRet: EPERM,
    args: [{ index: 0, value: CLONE_NEWUSER, valueTwo: CLONE_NEWUSER, op: "SCMP_CMP_MASKED_EQ" }],
  },
  { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: ENOSYS },
];
