#!/usr/bin/env bash
# Two hosts on one machine: network namespaces joined by a virtual cable, and a launcher without ssh.
#
#     benches/two_hosts.sh RATE COMMAND...      # as root; RATE of the cable in Mb/s, or `full`
#     benches/two_hosts.sh 1000 target/release/scgpt pretrain --data shards -o run --accumulate 4
#
# PROCESSES=2 is how many there are on each host. The figures of `docs/many-workers.md` were measured so.
set -euo pipefail
rate=$1
shift

agent=$(mktemp)
cleanup() {
    rm -f "$agent"
    ip netns del hosta 2>/dev/null || true
    ip netns del hostb 2>/dev/null || true
}
trap cleanup EXIT
ip netns add hosta
ip netns add hostb
ip link add va netns hosta type veth peer name vb netns hostb
for host in a b; do
    address=10.77.0.$([ $host = a ] && echo 1 || echo 2)
    ip -n host$host addr add $address/24 dev v$host
    ip -n host$host link set lo up
    ip -n host$host link set v$host up
    [ "$rate" = full ] || tc -n host$host qdisc add dev v$host root tbf rate "$rate"mbit burst 256kb latency 50ms
done
# What `ssh` would be: the other host, under its own name.
cat > "$agent" <<'EOF'
#!/bin/sh
shift
exec ip netns exec hostb unshare --uts sh -c "hostname hostb; $*"
EOF
chmod +x "$agent"

n=${PROCESSES:-2}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
ip netns exec hosta unshare --uts sh -c 'hostname hosta; exec "$@"' sh \
    mpirun --mca plm_rsh_agent "$agent" --mca oob_tcp_if_include 10.77.0.0/24 --mca btl_tcp_if_include 10.77.0.0/24 \
    --mca btl tcp,self,vader --mca mpi_yield_when_idle 1 --bind-to none --oversubscribe \
    --host "10.77.0.1:$n,10.77.0.2:$n" -np $((2 * n)) "$@"
