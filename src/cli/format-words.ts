// What `--format` takes, in Docker's words, for the help of every command that has it.

export const formatWords = `Format output using a custom template:
'json':             Print in JSON format
'TEMPLATE':         Print output using the given
Go template.
Refer to https://docs.docker.com/go/formatting/
for more information about formatting output with
templates`;

export const tableFormatWords = formatWords.replace(
  "'json':",
  `'table':            Print output in table format
with column headers (default)
'table TEMPLATE':   Print output in table format
using the given Go template
'json':`,
);
