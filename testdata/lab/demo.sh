#!/usr/bin/env bash
# The main job, in the lab: the sample application shop goes from v1 to v2 on
# ring-1, in the order of its dependencies. Every command is shown before it
# runs; afterwards the lab stays open.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)

say() { printf '\n\033[1m%s\033[0m\n' "$*" >&2; }
show() { printf '\033[36m$ %s\033[0m\n' "$*" >&2; "$@"; }

say "A real Fleet on this machine: one manager, four clusters"
go run ./cmd/lab build
if ! go run ./cmd/lab status >/dev/null 2>&1; then
  go run ./cmd/lab up
  go run ./cmd/lab sample
fi
eval "$(go run ./cmd/lab env)"
export PATH="$root/bin:$PATH"
if rollout app show shop >/dev/null 2>&1; then
  say "The demo has run already, and its lab is open; to begin anew: make demo-down && make demo"
  exit 0
fi

say "The application: five services, two rings, four clusters"
show rollout app create shop
show rollout ring create shop ring-1 --deadline 5m
show rollout ring create shop ring-2 --deadline 5m
for cluster in c1 c2; do show rollout cluster add "$cluster" --app shop --ring ring-1 --yes; done
for cluster in c3 c4; do show rollout cluster add "$cluster" --app shop --ring ring-2 --yes; done

say "Its services and what they depend on"
show rollout service add shop db --repo "$LAB_GIT/db.git" --path deploy
show rollout service add shop api --repo "$LAB_GIT/api.git" --path deploy --depends-on db
show rollout service add shop worker --repo "$LAB_GIT/worker.git" --path deploy --depends-on db
show rollout service add shop web --repo "$LAB_GIT/site.git" --path web --depends-on api
show rollout service add shop docs --repo "$LAB_GIT/site.git" --path docs
show rollout service graph shop

say "What should run, and the rollout that makes it so on ring-1"
show rollout plan set shop db=v2 api=v2 worker=v2 web=v2 docs=v2
show rollout create shop ring-1
show rollout history shop

say "The lab stays open. To play with it, in this folder:"
cat <<END
  eval "\$(cd testdata/lab && go run ./cmd/lab env)"; export PATH="\$PWD/bin:\$PATH"
  rollout create shop ring-2          # the next ring
  rollout show shop
  rollout plan set shop api=v3-bad    # a version that never becomes ready
  rollout create shop ring-1
  make demo-down                      # ends exactly what was started
END
