package parallel

// Once returns a function that calls f until it succeeds, and then returns that result.
// Calls at the same time wait for one another. f may call the storage; see Mutex.
func Once[T any](f func() (T, error)) func() (T, error) {
	mu := NewMutex()
	var known bool
	var result T
	return func() (T, error) {
		mu.Lock()
		defer mu.Unlock()
		if known {
			return result, nil
		}
		got, err := f()
		if err == nil {
			result, known = got, true
		}
		return got, err
	}
}
