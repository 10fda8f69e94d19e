#!/usr/bin/env bash
# Several instances behind a load balancer: from one to three, a rolling release, a canary that turns bad, scaling, a rollback.
#
#   docs/examples/demo-balancer.sh                   on real virtual machines where QEMU and mmdebstrap are installed
#   KIND=simulated docs/examples/demo-balancer.sh    on simulated ones
#
# Ends with 0 only when every step did what it says.
set -euo pipefail
cd "$(dirname "$0")/../.."

remint=${REMINT:-$PWD/${CARGO_TARGET_DIR:-target}/debug/remint}
case ${CARGO_TARGET_DIR:-} in /*) remint=${REMINT:-$CARGO_TARGET_DIR/debug/remint} ;; esac
examples=$PWD/docs/examples
client=$examples/client.py
work=$(mktemp -d "${TMPDIR:-/tmp}/remint-balancer.XXXXXX")
# With CI set, a first deploy asks where its journal is to be kept; this one's goes with the folder.
unset CI
export REMINT_SANDBOX=balancer-$$
provider=${PROVIDER:-sandbox}
case $provider in
  # The sandbox's own provider finds it by itself; the others are told where it is, as any client of theirs would be.
  sandbox | digitalocean) client_of=digitalocean ;;
  aws | gcp) client_of=$provider ;;
  *) echo "demo-balancer: PROVIDER is one of sandbox, digitalocean, aws, gcp; not $provider" >&2; exit 2 ;;
esac

# Google's load balancer passes connections through, and understands no HTTP.
protocol=http
[ "$provider" != gcp ] || protocol=tcp

kind=${KIND:-qemu}
if [ "$kind" = qemu ] && ! { command -v qemu-system-x86_64 && command -v qemu-img && command -v mmdebstrap; } >/dev/null; then
  echo "demo-balancer: QEMU or mmdebstrap is not installed: on simulated machines instead"
  kind=simulated
fi

step() { printf '\n\033[1;36m# %s\033[0m\n' "$*"; }
run() {
  printf '\033[1m$ remint %s\033[0m\n' "$*"
  "$remint" "$@"
}
fail() {
  printf '\033[1;31mdemo failed: %s\033[0m\n' "$*" >&2
  exit 1
}
# How many instances and images stand at the sandbox, over all its accounts.
standing() {
  "$remint" sandbox status --json | python3 -c 'import json,sys
accounts = json.loads(sys.stdin.readlines()[-1])["data"]["cloud"]["accounts"].values()
print(sum(account["droplets"] + account["snapshots"] for account in accounts))'
}
# shellcheck disable=SC2329
clean_up() {
  status=$?
  if [ -n "${load:-}" ]; then kill "$load" 2>/dev/null || true; fi
  if [ "$status" != 0 ]; then
    echo "demo-balancer: the sandbox's log ends with:" >&2
    "$remint" sandbox status >&2 || true
  fi
  "$remint" sandbox reset --yes >/dev/null 2>&1 || true
  "$remint" sandbox stop --machines >/dev/null 2>&1 || true
  rm -rf "$work"
  exit "$status"
}
trap clean_up EXIT

step "A cloud on this machine, with ${kind} machines; ${provider} is who hosts the service"
if [ "$kind" = qemu ]; then run sandbox image build debian-12; fi
run sandbox start --kind "$kind"
eval "$("$remint" sandbox env "$client_of")"
run sandbox zone example.test --api "$client_of"

step "A service: a manifest, a small web server, its systemd unit"
mkdir "$work/hello"
cd "$work/hello"
run init --name hello
sed -i 's/^# \[dns\]/[dns]/; s/^# zone = .*/zone = "example.test"/; s/^# name = /name = /; s/^# ttl = /ttl = /' remint.toml

# The record's TTL is what clients wait for: a short one keeps the demo short.
sed -i 's/^ttl = .*/ttl = "30s"/' remint.toml
deploy() { run deploy --provider "$provider" "$@"; }
# What `[instance]`, `[load_balancer]` and `[deploy]` say from now on.
fleet() {
  python3 - "$1" "$2" "$protocol" <<'PYTHON'
import re, sys
count, strategy, protocol = sys.argv[1:]
path = "remint.toml"
text = open(path).read()
text = re.sub(r"(?ms)^# --- Several instances ---.*?^# ---$\n", "", text)
text = re.sub(r'(?m)^strategy = .*\n', "", text)
text = text.replace("[deploy]\n", f'[deploy]\nstrategy = "{strategy}"\n')
text += f"""# --- Several instances ---
[instance]
count = {count}

[load_balancer]
listeners = [{{ port = 80, protocol = "{protocol}" }}]
check = {{ path = "/health/check", interval = "5s", timeout = "3s" }}
# ---
"""
open(path, "w").write(text)
PYTHON
}
instances() {
  "$remint" status --provider "$provider" "$@" --json | python3 -c 'import json,sys
print(len(json.loads(sys.stdin.readlines()[-1])["data"]["instances"]))'
}

step "One instance behind a static IP"
deploy
endpoint=$("$remint" status --provider "$provider" --json | python3 -c 'import json,sys
print(json.loads(sys.stdin.readlines()[-1])["data"]["endpoint"])')
port=${endpoint##*:}

step "From here on a client looks the name up by its TTL, and asks 100 times a second"
"$client" "http://hello.example.test:$port/" 100 "$REMINT_SANDBOX_DNS" >"$work/load.json" 2>"$work/load.txt" &
load=$!

step "Three instances behind a load balancer: the new way in is ready before the name leads to it"
fleet 3 rolling
run plan --provider "$provider"
deploy
[ "$(instances)" = 3 ] || fail "there should be 3 instances"

step "A rolling release: one by one, and never fewer than three in service"
deploy --var version=v2
run status --provider "$provider" --var version=v2

step "A canary that passes its gate, joins, and turns bad there is undone; v2 goes on serving"
fleet 3 canary
cp -r app "$work/app.good"
cp remint.toml "$work/remint.good"
turns=30
[ "$kind" = simulated ] || turns=90
sed -i "s/return bool(CONFIG)/return bool(CONFIG) and time.monotonic() - STARTED < $turns/; s/^import threading$/&\nimport time\n\nSTARTED = time.monotonic()/" app/hello.py
sed -i "1i fail_health_after = \"${turns}s\"" app/simulation.toml
sed -i "s/^observe = .*/observe = \"$((turns + 60))s\"/" remint.toml
status=0
"$remint" deploy --provider "$provider" --var version=v3 2>&1 | tee "$work/canary.txt" || status=${PIPESTATUS[0]}
[ "$status" = 6 ] || fail "the bad canary ended with exit code $status, not 6"
grep -q "watching 1 instance through the load balancer" "$work/canary.txt" || fail "the canary did not join"
rm -rf app && mv "$work/app.good" app
mv "$work/remint.good" remint.toml

step "Scale to four, and back to two: nothing is replaced"
fleet 4 rolling
deploy --var version=v2
[ "$(instances --var version=v2)" = 4 ] || fail "there should be 4 instances"
fleet 2 rolling
deploy --var version=v2
[ "$(instances --var version=v2)" = 2 ] || fail "there should be 2 instances"

step "Roll back to v1"
run rollback --provider "$provider" r2
run history

sleep 2
kill -INT "$load"
wait "$load" || fail "the client saw failures: $(cat "$work/load.txt")"
load=
cat "$work/load.txt"
grep -q '"failed": 0' "$work/load.json" || fail "requests were lost: $(cat "$work/load.json")"
# Of v3 it saw the canary, for as long as that was healthy.
for version in v1 v2 v3; do grep -q "$version" "$work/load.txt" || fail "the client never saw $version"; done

step "Everything goes"
run destroy --provider "$provider" --images --yes
left=$(standing)
[ "$left" = 0 ] || fail "$left instances or images are left"
printf '\n\033[1;32mThe demo is done: no request was lost, and nothing is left.\033[0m\n'
