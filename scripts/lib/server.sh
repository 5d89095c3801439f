# SPDX-License-Identifier: LGPL-2.1-or-later
# The common manners of the scripts that run a real server for tests: free ports, one folder per server,
# start, stop, status, run. Sourced after common.sh.
# shellcheck shell=bash disable=SC2034,SC2154
#
# A script sets
#   server_title    what the server is called towards a person
#   server_env      the variable in which `run` tells COMMAND the address
#   server_package  Debian's package of it
#   server_config   the name of its configuration file in DIR; --config-line and --extra are appended to it
#   server_flags    its own options without a value, each between blanks; may be empty
#   server_values   its own options with a value, each between blanks; may be empty
# and defines
#   server_usage         prints what its own options mean
#   server_have          succeeds if the server's program is installed
#   server_configure     writes $dir/$server_config; ${ports[0]} … are free ports, the first is the server's
#   server_command       sets the array server_argv; it must not detach itself from its parent
#   server_ready         succeeds when the server answers (called every 50 ms)
# and may define
#   server_set OPTION VALUE   takes one of its own options
#   server_stopped            ends what else the server has started
#   server_fields             prints more fields for the line that start prints
# In all of them $dir is the folder and, but for server_set, ${ports[@]} are the ports.

server_flags='' server_values='' server_patience=30
server_set() { :; }
server_stopped() { :; }
server_fields() { :; }
ports=()

# Ports are drawn below the kernel's ephemeral range, so that no client's socket takes one between the
# draw and the bind. A race with another server is still possible: start tries again.
free_port() {
  local p
  for _ in {1..200}; do
    p=$((18000 + RANDOM % 12000))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null; then
      echo "$p"
      return
    fi
  done
  die "found no free port on 127.0.0.1"
}

# port_answers PORT
port_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# process_mark PID: something that tells it from a later process of that number; fails if it is not alive.
process_mark() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  stat=${stat##*) }
  # shellcheck disable=SC2086
  set -- $stat
  [ "$1" != Z ] || return 1
  echo "${20}"
}

# What a server inherits it keeps open as long as it lives: a lock of its caller's, for one.
close_inherited() {
  local fd
  for fd in /proc/self/fd/*; do
    fd=${fd##*/}
    if [ "$fd" -gt 2 ] && [ "$fd" != 255 ]; then eval "exec $fd>&-"; fi
  done 2>/dev/null
}

server_running() {
  local pid mark
  read -r pid mark 2>/dev/null <"$dir/pid" || return 1
  [ "$(process_mark "$pid")" = "$mark" ]
}

server_help() {
  local me=scripts/${0##*/}
  cat <<U
usage: $me start  DIR [options]        start a $server_title whose files are in DIR; prints address=HOST:PORT …
       $me stop   DIR [--keep|--kill]  stop it and delete DIR
       $me status DIR                  exit code 0 and the address if it runs, 3 if not
       $me run    DIR [options] -- COMMAND…
                                       start, run COMMAND with $server_env=HOST:PORT, stop whatever happens
options of start and run:
$(server_usage)
  --port N            the port (default: a free one)
  --config-line LINE  a line for the configuration file; may be repeated
  --extra FILE        lines for the configuration file; in them and in LINE @DIR@, @PORT@, @PORT2@ and @PORT3@
                      are replaced (free ports; DIR/ports names them)
  --while-pid PID     the server ends, and DIR with it, when this process does
options of stop:
  --keep              keep DIR: a later start with the same DIR resumes with its configuration, data and port
  --kill              end the process at once (SIGKILL), as a power cut would, and keep DIR
Exit code 77: $server_title is not installed.
U
}

extra='' want_port='' while_pid='' config_lines=() rest=()
server_parse() {
  local name value
  while [ $# -gt 0 ]; do
    if [ "$1" = -- ]; then
      shift
      rest=("$@")
      return
    fi
    name=${1%%=*}
    if [[ " --port --config-line --extra --while-pid $server_values " == *" $name "* ]]; then
      if [ "$name" = "$1" ]; then
        [ $# -gt 1 ] || die "$name needs a value"
        shift
        value=$1
      else
        value=${1#*=}
      fi
    elif [[ " $server_flags " == *" $1 "* ]]; then
      value=1
    else
      die "unknown option $1 (try: scripts/${0##*/} help)"
    fi
    case $name in
      --port | --while-pid)
        case $value in '' | *[!0-9]*) die "$name takes a number" ;; esac
        if [ "$name" = --port ]; then want_port=$value; else while_pid=$value; fi
        ;;
      --config-line) config_lines+=("$value") ;;
      --extra)
        [ -r "$value" ] || die "--extra $value: no such readable file"
        extra=$value
        ;;
      *) server_set "$name" "$value" ;;
    esac
    shift
  done
}

# One try. 0 when ready, 1 when a port was taken, dies on anything else.
server_launch() {
  local from pid began=$SECONDS server_argv
  from=$(($(wc -l 2>/dev/null <"$dir/log" || echo 0) + 1))
  server_command
  (
    # A group of its own: Ctrl-C in the test runner's terminal must not end the server before `stop` does.
    set -m
    close_inherited
    "${server_argv[@]}" >>"$dir/log" 2>&1 </dev/null &
    echo "$! $(process_mark $!)" >"$dir/pid"
  )
  read -r pid _ <"$dir/pid"
  while ! server_ready; do
    if ! server_running; then
      rm -f "$dir/pid"
      # No pipeline: grep ends at the first hit, and then tail's death by SIGPIPE would be the answer.
      if grep -qiE 'address (is )?already in use|eaddrinuse|BindException' < <(tail -n +"$from" "$dir/log"); then return 1; fi
      tail -n 25 "$dir/log" >&2
      die "$server_title ended while it started; the whole log: $dir/log"
    fi
    if [ $((SECONDS - began)) -gt "$server_patience" ]; then
      kill -KILL -- "-$pid" 2>/dev/null || true
      rm -f "$dir/pid"
      tail -n 25 "$dir/log" >&2
      die "$server_title was not ready after $server_patience s; the whole log: $dir/log"
    fi
    sleep 0.05
  done
  # Another server may have had the port: then ours has ended, or is about to.
  server_running || return 1
}

server_write_config() {
  local i script=("-e" "s|@DIR@|$dir|g" "-e" "s|@PORT@|${ports[0]}|g")
  for ((i = 1; i < ${#ports[@]}; i++)); do script+=(-e "s|@PORT$((i + 1))@|${ports[i]}|g"); done
  server_configure
  {
    if [ ${#config_lines[@]} -gt 0 ]; then printf '%s\n' "${config_lines[@]}"; fi
    if [ -n "$extra" ]; then cat "$extra"; fi
  } | sed "${script[@]}" >>"$dir/$server_config"
  printf '%s\n' "${ports[@]}" >"$dir/ports"
}

# The server must not outlive the one who asked for it, however that one ends.
server_watch() {
  local pid=$1
  while kill -0 "$pid" 2>/dev/null; do
    sleep 1
    server_running || return 0
  done
  server_stop
}

server_start() {
  local began try
  server_have || {
    printf '%s\n' "${0##*/}: $server_title is missing; ./scripts/setup test installs it (Debian: $server_package)" >&2
    exit 77
  }
  if server_running; then die "a $server_title runs in $dir already ($(cat "$dir/address")); stop it first"; fi
  if [ -d "$dir" ] && [ ! -f "$dir/$marker" ] && [ -n "$(ls -A "$dir")" ]; then
    die "$dir holds something else; name an empty or a new folder"
  fi
  mkdir -p "$dir"
  touch "$dir/$marker"
  began=$(date +%s%N)
  if [ -f "$dir/address" ]; then # resume: same data, same ports
    mapfile -t ports <"$dir/ports"
    # A port that was just killed may take a moment to be free again.
    for try in 1 2 3 4 5; do
      server_launch && break
      [ "$try" -lt 5 ] || die "the port of $(cat "$dir/address") is taken by another program"
      sleep 0.2
    done
  else
    for try in 1 2 3 4 5; do
      ports=("${want_port:-$(free_port)}" "$(free_port)" "$(free_port)")
      : >"$dir/log"
      server_write_config
      server_launch && break
      if [ -n "$want_port" ]; then die "port $want_port on 127.0.0.1 is taken"; fi
      [ "$try" -lt 5 ] || die "no free port in five tries; see $dir/log"
      note "port ${ports[0]} was taken meanwhile; trying another"
    done
    echo "127.0.0.1:${ports[0]}" >"$dir/address"
  fi
  if [ -n "$while_pid" ]; then
    (
      # A group of its own too: who ends a test by its group must not end what cleans up after it.
      set -m
      close_inherited
      server_watch "$while_pid" >/dev/null 2>&1 </dev/null &
    )
  fi
  note "$server_title ready in $((($(date +%s%N) - began) / 1000000)) ms, pid $(cut -d ' ' -f 1 "$dir/pid")"
}

server_line() {
  local i
  printf 'address=%s' "$(cat "$dir/address")"
  mapfile -t ports <"$dir/ports"
  for ((i = 1; i < ${#ports[@]}; i++)); do printf ' port%d=%s' $((i + 1)) "${ports[i]}"; done
  server_fields
  printf '\n'
}

server_stop() { # [--keep|--kill]
  local how=${1:-} pid i
  [ -e "$dir" ] || return 0
  [ -f "$dir/$marker" ] || die "$dir is no folder of scripts/${0##*/}"
  case $how in '' | --keep | --kill) ;; *) die "stop: unknown option $how" ;; esac
  if [ -f "$dir/ports" ]; then mapfile -t ports <"$dir/ports"; fi
  if server_running; then
    read -r pid _ <"$dir/pid"
    if [ "$how" = --kill ]; then
      kill -KILL -- "-$pid" 2>/dev/null || true
    else
      kill -- "-$pid" 2>/dev/null || true
    fi
    for ((i = 0; i < 200; i++)); do
      server_running || break
      sleep 0.05
    done
    if server_running; then
      kill -KILL -- "-$pid" 2>/dev/null || true
      while server_running; do sleep 0.05; done
    fi
  fi
  server_stopped
  rm -f "$dir/pid"
  if [ -z "$how" ]; then rm -rf "$dir"; fi
}

# server_run: start, COMMAND, stop. The address is given as $server_env.
server_run() {
  local child rc=0
  [ ${#rest[@]} -gt 0 ] || die "run needs a command after --"
  trap 'server_stop' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  server_start
  export "$server_env=$(cat "$dir/address")"
  # In the background and waited for, so that a signal stops the server at once.
  "${rest[@]}" <&0 &
  child=$!
  trap 'kill "$child" 2>/dev/null; wait "$child" 2>/dev/null; exit 143' TERM
  wait "$child" || rc=$?
  exit "$rc"
}

# server_main ARGS…: what the command line means.
server_main() {
  local command=${1:-help}
  marker=.edgewire-${0##*/}
  [ $# -eq 0 ] || shift
  case $command in
    help | -h | --help)
      server_help
      return
      ;;
    start | stop | status | run) ;;
    *)
      server_help >&2
      die "unknown command $command"
      ;;
  esac
  [ $# -gt 0 ] || die "$command needs a folder (try: scripts/${0##*/} help)"
  dir=$(realpath -m -- "$1")
  shift
  case $command in
    start)
      server_parse "$@"
      server_start
      server_line
      ;;
    stop) server_stop "${1:-}" ;;
    status)
      if server_running; then
        printf '%s pid=%s\n' "$(server_line)" "$(cut -d ' ' -f 1 "$dir/pid")"
      else
        echo stopped
        exit 3
      fi
      ;;
    run)
      server_parse "$@"
      server_run
      ;;
  esac
}
