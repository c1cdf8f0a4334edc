// `holdfast completion SHELL`: small scripts; all knowledge stays in `holdfast __complete`.
import type { Invocation } from "./command.ts";
import { CliFailure } from "./failure.ts";

const bash = `# bash completion for holdfast
_holdfast() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    COMPREPLY+=("\${line%%$'\\t'*}")
  done < <(holdfast __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  [[ \${COMPREPLY[0]-} == *[=/] ]] && compopt -o nospace 2>/dev/null
}
complete -o default -F _holdfast holdfast
`;

const zsh = `#compdef holdfast
_holdfast() {
  local -a found
  local line
  while IFS= read -r line; do
    found+=("\${line//:/\\\\:}")
  done < <(holdfast __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)
  found=("\${found[@]/$'\\t'/:}")
  _describe holdfast found
}
if [ "$funcstack[1]" = "_holdfast" ]; then _holdfast; else compdef _holdfast holdfast; fi
`;

const fish = `# fish completion for holdfast
function __holdfast_complete
  set -l words (commandline -opc) (commandline -ct)
  holdfast __complete $words[2..-1] 2>/dev/null
end
complete -c holdfast -f -a '(__holdfast_complete)'
`;

/** By the name of the shell. */
export const completionScripts = { bash, fish, zsh } as const;

export async function printCompletion({ positional, terminal }: Invocation): Promise<number> {
  const shell = positional[0] ?? "";
  const script = new Map<string, string>(Object.entries(completionScripts)).get(shell);
  if (script === undefined) {
    const known = Object.keys(completionScripts).join(", ");
    throw new CliFailure(`no completion for the shell "${shell}": choose one of ${known}`, 2);
  }
  await terminal.out(script);
  return 0;
}
