# The end of the journal of units that failed and of those that the manifest restarts, and then of the whole system's: what
# happens while the health check waits would otherwise push the cause out.
failed=$(systemctl list-units --failed --plain --no-legend --no-pager 2>/dev/null | head -n 5 | cut -d ' ' -f 1 2>/dev/null)
units="$REMINT_UNITS $failed"
set --
for unit in $units; do set -- "$@" -u "$unit"; done
if test $# -gt 0; then journalctl -b -n 15 --no-pager --output=short "$@" || true; fi
journalctl -b -n 15 --no-pager --output=short
