# Tells what is known of a machine's users and SSH servers. Each block starts with a line of a mark that nobody can guess.
# Hashes of passwords stay on the machine.
mark=$REMINT_MARK

echo "$mark users"
if command -v getent >/dev/null 2>&1; then getent passwd || cat /etc/passwd; else cat /etc/passwd; fi

echo "$mark passwords"
if test -e /etc/shadow; then
    while IFS=: read -r user hash rest; do
        case $hash in
            '') echo "$user empty" ;;
            '!'* | '*'* | x) ;;
            *) echo "$user set" ;;
        esac
    done </etc/shadow
fi

echo "$mark server"
server=
if command -v sshd >/dev/null 2>&1; then server=$(command -v sshd); fi
for file in /usr/sbin/sshd /usr/local/sbin/sshd /usr/lib/ssh/sshd /usr/bin/sshd; do
    if test -z "$server" && test -x "$file"; then server=$file; fi
done
echo "$server"

echo "$mark config"
for file in /etc/ssh/sshd_config /usr/etc/ssh/sshd_config; do
    if test -f "$file"; then
        echo "$file"
        break
    fi
done

# The title of a server that listens shows how it was started.
echo "$mark processes"
for folder in /proc/[0-9]*; do
    name=
    if test -r "$folder/comm"; then read -r name 2>/dev/null <"$folder/comm" || true; fi
    case $name in
        sshd | sshd-listener | dropbear | tinysshd | in.telnetd | telnetd | in.rshd | in.rlogind)
            line=$(tr '\000' ' ' 2>/dev/null <"$folder/cmdline" || true)
            echo "$name $line"
            ;;
    esac
done
