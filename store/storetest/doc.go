// Package storetest is what every implementation of [orchestrator.Store] must
// hold: [Run] runs the suite against one. [Tape] makes the journals for it.
package storetest
