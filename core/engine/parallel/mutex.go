package parallel

// Mutex is a lock that may be held during calls of the storage. It is a channel, so that
// waiting for it is durable blocking for testing/synctest: simulated time goes on.
type Mutex chan struct{}

// NewMutex returns an open lock.
func NewMutex() Mutex { return make(Mutex, 1) }

// Lock waits until no one else has the lock, and takes it.
func (m Mutex) Lock() { m <- struct{}{} }

// Unlock gives the lock back.
func (m Mutex) Unlock() { <-m }
