package store

import (
	"context"
	"fmt"
	"strings"

	bolt "go.etcd.io/bbolt"

	"rollout/rings"
)

// PutCluster writes the record of a cluster, over the one that there is.
func (db *DB) PutCluster(ctx context.Context, c rings.Cluster) error {
	return db.update(ctx, func(tx *bolt.Tx) error {
		if _, err := getApp(tx, c.App); err != nil {
			return err
		}
		wrote, err := put(tx.Bucket(bucketClusters), pair(c.App, c.Name), c)
		if err == nil && !wrote {
			err = errUnchanged
		}
		return err
	})
}

// MoveCluster is PutCluster for a cluster that was put on its ring by a command:
// n says who did it, and why, and is noted with the ring that was recorded before.
// A cluster that is recorded there already is not noted again.
func (db *DB) MoveCluster(ctx context.Context, c rings.Cluster, n rings.Note) error {
	n.App, n.Kind, n.Cluster, n.To = c.App, rings.NoteClusterMoved, c.Name, c.Ring
	return db.update(ctx, func(tx *bolt.Tx) error {
		if _, err := getApp(tx, c.App); err != nil {
			return err
		}
		var old rings.Cluster
		b, key := tx.Bucket(bucketClusters), pair(c.App, c.Name)
		known, err := get(b, key, &old)
		if err != nil {
			return err
		}
		if _, err := put(b, key, c); err != nil || known && old.Ring == c.Ring {
			return err
		}
		n.From = old.Ring
		return addNote(tx, n)
	})
}

// Cluster returns the application's record of the cluster.
func (db *DB) Cluster(ctx context.Context, app rings.AppName, name rings.ClusterName) (rings.Cluster, error) {
	var c rings.Cluster
	err := db.view(ctx, func(tx *bolt.Tx) error {
		ok, err := get(tx.Bucket(bucketClusters), pair(app, name), &c)
		if err == nil && !ok {
			err = unknownCluster(tx, app, name)
		}
		return err
	})
	return c, err
}

// Clusters returns the application's records sorted by name, or with an empty
// name those of all applications, one application after the other; none is no
// error.
func (db *DB) Clusters(ctx context.Context, app rings.AppName) ([]rings.Cluster, error) {
	var all []rings.Cluster
	err := db.view(ctx, func(tx *bolt.Tx) error {
		if app != "" {
			if _, err := getApp(tx, app); err != nil {
				return err
			}
		}
		var err error
		all, err = clustersOf(tx, app)
		return err
	})
	return all, err
}

// clustersOf returns the application's records, or with "" those of all.
func clustersOf(tx *bolt.Tx, app rings.AppName) ([]rings.Cluster, error) {
	return under[rings.Cluster](tx.Bucket(bucketClusters), app)
}

// prefixOf is the prefix of the application's keys; of all when it is "".
func prefixOf(app rings.AppName) []byte {
	if app == "" {
		return nil
	}
	return pair(app, "")
}

// unknownCluster says what is not there: the application, or the cluster in it.
func unknownCluster(tx *bolt.Tx, app rings.AppName, name rings.ClusterName) error {
	if _, err := getApp(tx, app); err != nil {
		return err
	}
	var known []string
	for _, k := range keysOf(tx.Bucket(bucketClusters)) {
		if cluster, ok := strings.CutPrefix(k, string(prefixOf(app))); ok {
			known = append(known, cluster)
		}
	}
	return &rings.UnknownError{Kind: "cluster", Name: string(name),
		Where: fmt.Sprintf("application %q", app), Nearest: rings.Nearest(string(name), known)}
}
