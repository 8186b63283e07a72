package store

import (
	"bytes"
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
		b := tx.Bucket(bucketClusters)
		prefix := prefixOf(app)
		cur := b.Cursor()
		for k, v := cur.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, v = cur.Next() {
			var c rings.Cluster
			if err := decode(b, k, v, &c); err != nil {
				return err
			}
			all = append(all, c)
		}
		return nil
	})
	return all, err
}

// DeleteCluster removes the application's record of the cluster.
func (db *DB) DeleteCluster(ctx context.Context, app rings.AppName, name rings.ClusterName) error {
	return db.update(ctx, func(tx *bolt.Tx) error {
		b, key := tx.Bucket(bucketClusters), pair(app, name)
		if b.Get(key) == nil {
			return unknownCluster(tx, app, name)
		}
		return b.Delete(key)
	})
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
