//go:build goman_points

package queuetest_test

import (
	"github.com/uptutu/goman/queue"
	"github.com/uptutu/goman/queue/queuetest"
)

// With the tag, the queues have points, and counters that begin where they are told.
func init() {
	setPoints = queue.SetPoints
	starting = func(kind string) func(int, uint64) queuetest.Queue {
		return map[string]func(int, uint64) queuetest.Queue{
			"MPMC": func(capacity int, start uint64) queuetest.Queue {
				return queue.StartMPMC[*queuetest.Item](capacity, start)
			},
			"SPSC": func(capacity int, start uint64) queuetest.Queue {
				return queue.StartSPSC[*queuetest.Item](capacity, start)
			},
			"MPSC": func(_ int, start uint64) queuetest.Queue {
				return queue.StartMPSC[*queuetest.Item](start)
			},
			"Unbounded": func(_ int, start uint64) queuetest.Queue {
				return queue.StartUnbounded[*queuetest.Item](start)
			},
			"Deque": func(_ int, start uint64) queuetest.Queue {
				return thieves{queue.StartDeque[*queuetest.Item](start)}
			},
		}[kind]
	}
}
