/** Completion for bash, zsh and fish. Pure. */
import {
  type CompletedCommand,
  type CompletedOption,
  optionNames,
  sharedOptions,
} from './completion-model.ts';

const MADE = '# Made by npm run deb from the table of commands.';
const GLOBAL = ['help', '--help', '--version'];

export function bashCompletion(commands: readonly CompletedCommand[]): string {
  const names = commands.map(({ name }) => name);
  const dashed = (each: readonly string[]): string => each.map((name) => `--${name}`).join('|');
  const choices = sharedOptions(commands)
    .map(([option]) => option)
    .filter(({ value }) => typeof value !== 'string')
    .map(({ name, value }) => `    --${name}) words='${[value].flat().join(' ')}' ;;`);
  const cases = commands.map(({ name, options, takesFile }) => {
    const words = options.map((option) => `--${option.name}`).join(' ');
    return `    ${name}) words='${words}'${takesFile ? ' files=1' : ''} ;;`;
  });
  return `${MADE}
_spoolroom() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} command= words= files= word
  # bash takes --name=value apart.
  if [[ $cur == = ]]; then cur=
  elif [[ $prev == = ]]; then prev=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in ${names.join('|')}) command=$word; break ;; esac
  done
  case $prev in
${[...new Set(choices)].join('\n')}
    ${dashed(optionNames(commands, (value) => value === 'path'))}) files=1 ;;
    ${dashed(optionNames(commands, (value) => value === 'text'))}) COMPREPLY=(); return ;;
    *) case $command in
    '') words='${[...names, ...GLOBAL].join(' ')}' ;;
${cases.join('\n')}
    esac ;;
  esac
  COMPREPLY=()
  [[ -z $words ]] || mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
  if [[ -n $files && $cur != -* ]]; then
    compopt -o filenames 2> /dev/null
    mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$cur")
  fi
}
complete -F _spoolroom spoolroom
`;
}

export function zshCompletion(commands: readonly CompletedCommand[]): string {
  const listed = commands.map(({ name, about }) => `    ${quoted(`${name}:${colons(about)}`)}`);
  const cases = commands.map(({ name, options, takesFile }) => {
    const rest = takesFile ? ["'*:file:_files'"] : ["'*: : '"];
    const lines = [...options.map(zshOption), ...rest].map((line) => `      ${line}`).join(' \\\n');
    return `  ${name})\n    _arguments -S \\\n${lines} ;;`;
  });
  return `#compdef spoolroom
${MADE}
_spoolroom() {
  local -a commands
  commands=(
${listed.join('\n')}
    'help:show help'
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${cases.join('\n')}
  help) _describe command commands ;;
  esac
}
_spoolroom "$@"
`;
}

/** `'*--smarthost=[relay for all mail]:value: '` */
function zshOption({ name, about, value, many }: CompletedOption): string {
  const what = `[${colons(about).replace(/[[\]]/g, '\\$&')}]`;
  const star = many ? '*' : '';
  if (value === 'none') return quoted(`--${name}${what}`);
  const values = value === 'path' ? '_files' : value === 'text' ? ' ' : `(${value.join(' ')})`;
  return quoted(`${star}--${name}=${what}:value:${values}`);
}

function colons(text: string): string {
  return text.replace(/[\\:]/g, '\\$&');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

export function fishCompletion(commands: readonly CompletedCommand[]): string {
  const fishQuoted = (text: string): string => `'${text.replace(/[\\']/g, '\\$&')}'`;
  const first = commands.map(
    ({ name, about }) => `complete -c spoolroom -n __fish_use_subcommand -a ${name} -d ${fishQuoted(about)}`,
  );
  const seen = (names: readonly string[]): string =>
    fishQuoted(`__fish_seen_subcommand_from ${names.join(' ')}`);
  const options = sharedOptions(commands).map(([{ name, about, value }, names]) => {
    const kind =
      value === 'none'
        ? ''
        : value === 'path'
          ? ' -rF'
          : value === 'text'
            ? ' -x'
            : ` -xa ${fishQuoted(value.join(' '))}`;
    return `complete -c spoolroom -n ${seen(names)} -l ${name}${kind} -d ${fishQuoted(about)}`;
  });
  const files = commands.filter(({ takesFile }) => takesFile).map(({ name }) => name);
  return `${[
    MADE,
    'complete -c spoolroom -f',
    ...first,
    "complete -c spoolroom -n __fish_use_subcommand -a help -d 'show help'",
    "complete -c spoolroom -n __fish_use_subcommand -l version -d 'show the version'",
    `complete -c spoolroom -n ${seen(files)} -F`,
    ...options,
  ].join('\n')}\n`;
}
