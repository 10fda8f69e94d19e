#!/usr/bin/env bash
# The whole story on this machine: bake, deploy, replace under load, refuse a broken version, roll back.
#
#   docs/examples/demo.sh                     on real virtual machines where QEMU and mmdebstrap are installed
#   KIND=simulated docs/examples/demo.sh      on simulated ones
#   PROVIDER=aws docs/examples/demo.sh        the same manifest on another cloud's API: digitalocean, aws or gcp
#
# Ends with 0 only when every step did what it says.
set -euo pipefail
cd "$(dirname "$0")/../.."

remint=${REMINT:-$PWD/${CARGO_TARGET_DIR:-target}/debug/remint}
case ${CARGO_TARGET_DIR:-} in /*) remint=${REMINT:-$CARGO_TARGET_DIR/debug/remint} ;; esac
examples=$PWD/docs/examples
client=$examples/client.py
work=$(mktemp -d "${TMPDIR:-/tmp}/remint-demo.XXXXXX")
# With CI set, a first deploy asks where its journal is to be kept; this one's goes with the folder.
unset CI
export REMINT_SANDBOX=demo-$$
provider=${PROVIDER:-sandbox}
case $provider in
  # The sandbox's own provider finds it by itself; the others are told where it is, as any client of theirs would be.
  sandbox | digitalocean) client_of=digitalocean ;;
  aws | gcp) client_of=$provider ;;
  *) echo "demo: PROVIDER is one of sandbox, digitalocean, aws, gcp; not $provider" >&2; exit 2 ;;
esac

kind=${KIND:-qemu}
if [ "$kind" = qemu ] && ! { command -v qemu-system-x86_64 && command -v qemu-img && command -v mmdebstrap; } >/dev/null; then
  echo "demo: QEMU or mmdebstrap is not installed: on simulated machines instead"
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
    echo "demo: the sandbox's log ends with:" >&2
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

step "Bake an image and deploy it behind a static IP and a DNS name"
run deploy --provider "$provider"
address=$("$remint" status --provider "$provider" --json | python3 -c 'import json,sys
data = json.loads(sys.stdin.readlines()[-1])["data"]
print(data["endpoint"])')
curl -fsS "http://$address/" | grep version

if [ "$kind" = qemu ]; then
  step "The image, read from outside: nothing of its builder is in it"
  sandbox=$("$remint" sandbox status --json | python3 -c 'import json,sys
print(json.loads(sys.stdin.readlines()[-1])["data"]["folder"])')
  # A captured disk is a layer that other disks rest on, in the folder of that name.
  disks=("$sandbox"/machines/qemu/layers/snapshot-*/disk.qcow2)
  [ ${#disks[@]} = 1 ] && [ -e "${disks[0]}" ] || fail "there should be one image: ${disks[*]}"
  "$examples/sealed.sh" "${disks[0]}" "$work" || fail "the image holds what belongs to its builder"
fi

step "dig at the sandbox's DNS"
dns_host=${REMINT_SANDBOX_DNS%:*} dns_port=${REMINT_SANDBOX_DNS##*:}
found=$(dig +short "@$dns_host" -p "$dns_port" hello.example.test A)
echo "hello.example.test is $found"
[ "$found" = "${address%:*}" ] || fail "the record is not the static IP $address"

step "A new version, while a client asks 20 times a second through the static IP"
"$client" "http://$address/" 20 >"$work/load.json" 2>"$work/load.txt" &
load=$!
run deploy --provider "$provider" --var version=v2
sleep 2
kill -INT "$load"
wait "$load" || fail "the client saw failures: $(cat "$work/load.txt")"
load=
cat "$work/load.txt"
grep -q '"failed": 0' "$work/load.json" || fail "requests were lost: $(cat "$work/load.json")"
grep -q 'v1' "$work/load.txt" || fail "the client never saw v1"
grep -q 'v2' "$work/load.txt" || fail "the client never saw v2"

step "A broken version is refused at its gate; v2 goes on serving"
cp -r app "$work/app.good"
sed -i 's/return bool(CONFIG)/return False/' app/hello.py
sed -i 's/^status = 200$/status = 503/' app/simulation.toml
sed -i 's/^successes = 3$/successes = 3\nstart_period = "20s"/' remint.toml
status=0
run deploy --provider "$provider" --var version=v3 || status=$?
[ "$status" = 6 ] || fail "the broken version ended with exit code $status, not 6"
curl -fsS "http://$address/" | grep v2 || fail "v2 does not serve any more"
rm -rf app && mv "$work/app.good" app

step "Roll back to v1: its image is still there, nothing is baked"
run rollback --provider "$provider"
curl -fsS "http://$address/" | grep v1 || fail "v1 does not serve"
run history

step "Everything goes"
run destroy --provider "$provider" --images --yes
left=$(standing)
[ "$left" = 0 ] || fail "$left instances or images are left"
printf '\n\033[1;32mThe demo is done: no request was lost, and nothing is left.\033[0m\n'
