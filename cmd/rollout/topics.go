package main

// topics are what `rollout help` explains beside the commands.
var topics = map[string]string{
	"exit-codes": "The program ends with\n\n" + exitCodes,
	"ids": `Where a command wants an ID it takes

   shop-12       the rollout
   shop          the application's live rollout, else (show, explain, replay) its latest
   shop/ring-1   the same, of one ring`,
	"environment": `   ROLLOUT_STORE                                the store, if not --store
   ROLLOUT_ACTOR                                who does this, if not --as
   ROLLOUT_GIT_USERNAME, ROLLOUT_GIT_PASSWORD   for git over HTTPS
   ROLLOUT_GIT_TOKEN                            a token for it, or HOST=TOKEN pairs with commas between them
   KUBECONFIG                                   the Fleet manager, if not --kubeconfig
   NO_COLOR                                     no colours
   CI                                           "true": no background process takes a rollout over`,
	"concepts": `   application   what is rolled out; owns services, rings and the plan; lives in one workspace of one Fleet manager
   service       one fleet.yaml in a git repository, deployed by a Fleet GitRepo; depends on other services
   cluster       one Fleet Cluster object; its ring is a label, which can change at any time
   ring          an ordered group of clusters, chosen by label, with a policy
   version       the value that a service's fleet.yaml carries for a ring
   plan          the version wanted for each service; a service without an entry is not touched
   rollout       one run of a plan, or of a part of it, over one ring or several
   step          one service on one ring, within a rollout
   wave          the steps of a ring whose dependencies are all done, so that they go together
   gate          what must hold before a step or ring may start or end: upstream verified, approval, soak, check
   driver        the one process that moves a rollout on
   keeper        a "rollout run": drives rollouts, and starts trains and releases that are due`,
	"rings": `Rings are rolled out in their order. A ring's clusters are those that carry the application's selector and, as its
ring label, the ring's name: Fleet acts on these labels at once, and "cluster add" and "cluster set-ring" show first
what it will deploy.

A ring begins when the ring before it that has clusters is done in the same rollout, or was verified at these very
versions by an earlier one. Within a ring the services go in waves, each when all that it depends on is live there. It
is done when every cluster has acknowledged the commit and is ready, its checks answer well, its soak is over, and who
must approve has.

   rollout ring update APP RING --soak 30m --approve-before    what a ring demands
   rollout explain ID                                          what holds now, and until when`,
	"proposals": `A service whose branch takes no direct pushes is published with "--publish branch" ("rollout service set-publish"
changes it): its commits go to branches of their own, rollout/APP/RING/ID, and a person merges them. rollout needs no
forge for that: it shows the address that the git server prints on a push, and reads the branch that Fleet follows.

A step is Proposed until that branch says its version and its nonce: by a merge, a squash or a rebase alike. Services of
one repository that go together share a branch; what goes later has one with a number, -2 and so on. Other people's
commits are in nobody's way; only where git could not merge any more, or somebody else took the nonce, is the same
proposed anew on another branch. No branch is ever pushed over or deleted: one that is not wanted any more is named.

   rollout ring update APP RING --merge-deadline 8h    how long a person has; 24h by default
   rollout explain ID                                  what waits for which merge, and until when

A branch that is deleted without a merge ends the step. So does a failure elsewhere, a cancel or a skip, once it was
looked whether somebody merged it before; what is merged after that is a change by hand like any other. What takes back
is proposed, too, and an automatic rollback waits for that merge.`,
	"locks": `What keeps something from starting. What runs may always finish, and what waits goes on by itself.

   lock     of a ring, a service, a cluster, a cluster group or all of an application, by a holder: until it is
            released, or until its time. Several holders may lock the same; it is free when none does. To release one
            starts nothing. "rollout lock", "unlock" and "locks"
   window   a time in which nothing may start on a ring or an application, or the only time in which something may,
            read on the clock on the wall of a time zone. "rollout window"
   freeze   a ring with --freeze-upstream keeps the ring before it as it is while it is judged itself
   hold     a version that a rollback withdrew from a ring: it is not begun there again without --reason
   halt     nothing at all starts, of one application or of all: for an incident. "rollout halt" and "unhalt"

A new rollout is refused while a lock stands on what it would change, or while its first ring is closed or frozen; later
rings wait. Of a group of rings those that are locked are left out, and of a train the services that are. A person goes
over locks and windows that stand with --override --reason of create, deploy, retry, rollback, "service undeploy",
"cluster set-ring" and "cluster remove --uninstall": what was gone over is on the record. A halt is only lifted.

A train also leaves what a rollback withdrew, what a person decided on for the ring since, and what somebody changed by
hand. "rollout deploy --lock" keeps what it brings.

   rollout explain ID            what holds it, until when, and the command that helps
   rollout window list APP       which rings are open, and until when`,
	"settings": `A service can have settings: values of its fleet.yaml beside the version, below helm.values, such as replica counts or
switches. They are declared once, with a type and bounds, and then planned and rolled out like the version.

   rollout service add APP SERVICE ... --setting maxReplicas=helm.values.autoscaling.maxReplicas --max maxReplicas=20
   rollout service set-settings APP SERVICE --setting ...      for one that is there
   rollout plan set APP web.maxReplicas=5                      with versions, or alone: then each ring keeps its version
   rollout deploy APP ring-2 web.maxReplicas=20 --reason ...   a value for one ring alone

One commit changes version, settings and nonce together. A value must have been verified on the ring before, like a
version; a rollback restores what was there; a value that somebody else has set is not overwritten. What a ring has no
value of yet is written into its entry by hand, once. A train takes versions only: settings often differ from ring to
ring.`,
	"nonce": `Fleet has no single field that says "this cluster runs that commit". So with every change of a version the commit also
sets a number on the ring's entry, forceSyncGeneration: the nonce. Fleet's agent reports it back only after it has
applied that very deployment, and a step is done only when every expected cluster has reported it and is ready.

A new nonce also makes Fleet apply again what had failed: "rollout create --redeploy" sets one on purpose. Rancher's
Force Update button has no effect on a ring whose entry carries a nonce.`,
	"file": `An application can be one file, for review and for git:

   apiVersion: rollout/v1
   kind: Application
   name: shop
   selector: {app: shop}                  the labels of its clusters; this is the default
   rings:                                 in the order in which they are rolled out
   - name: ring-1
     policy: {soak: 30m, onFailure: rollback-ring}
     clusters: [eu-1, eu-2]
   services:
   - name: db
     repo: https://git.example.com/shop/db.git
     path: deploy
   - name: api
     repo: https://git.example.com/shop/api.git
     path: deploy
     dependsOn: [db]
     settings: [{name: maxReplicas, field: helm.values.autoscaling.maxReplicas, type: int, max: 20}]
   groups:
   - {name: all, rings: [ring-1]}
   windows:
   - {name: weekend, kind: deny, cron: "0 18 * * 5", duration: 62h, timeZone: Europe/Berlin}
   locks:
   - {service: db, holder: incident-17, reason: INC-17}

"rollout import" writes one of what Fleet runs, "rollout export" of an application that there is; "rollout apply" makes
the application what it says; "rollout schema" prints what it may say. The plan is not in it: that is for CI to say.`,
}
