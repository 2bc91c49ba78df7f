package histories

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"shoal"
	"shoal/wire"
)

// Did is an operation of a history: asked and answered by a client, at these times after any one moment.
func Did(client int, asked Asked, call time.Duration, answered Answered, returned time.Duration) porcupine.Operation {
	return porcupine.Operation{ClientId: client, Input: asked, Call: int64(call), Output: answered, Return: int64(returned)}
}

// From is the model that begins with a state. Split, unless nil, says by a key which operations have to do with each other.
func From(s State, split func(Asked) string) porcupine.Model {
	m := porcupine.Model{
		Init:  func() any { return s },
		Equal: func(a, b any) bool { return a.(State).equal(b.(State)) },
		Step: func(state, input, output any) (bool, any) {
			asked, got := input.(Asked), output.(Answered)
			want, next := state.(State).Answer(asked)
			if _, login := asked.What.(*wire.Login); login && got == (Answered{Code: shoal.Limit}) {
				return true, state // those who fail are slowed down (rule A4)
			}
			return got == want, next
		},
		DescribeOperation: func(input, output any) string {
			asked := input.(Asked)
			return fmt.Sprintf("%.4v asks %T %+v: %+v", asked.By, asked.What, asked.What, output)
		},
	}
	if split != nil {
		m.Partition = func(all []porcupine.Operation) [][]porcupine.Operation {
			parts := make(map[string][]porcupine.Operation)
			for _, o := range all {
				k := split(o.Input.(Asked))
				parts[k] = append(parts[k], o)
			}
			return slices.Collect(maps.Values(parts))
		}
	}
	return m
}

// patience is how long porcupine may think about a history.
const patience = time.Minute

// Check returns an error unless all could have happened one after the other. Its text has the operation that finds no
// place, and what may have come right before it.
func Check(m porcupine.Model, all []porcupine.Operation) error {
	result := porcupine.CheckOperationsTimeout(m, all, patience)
	if result == porcupine.Ok {
		return nil
	}
	parts := [][]porcupine.Operation{all}
	if m.Partition != nil {
		parts = m.Partition(all)
	}
	m.Partition = nil
	for _, part := range parts {
		if result, info := porcupine.CheckOperationsVerbose(m, part, patience); result == porcupine.Illegal {
			return fmt.Errorf("a history of %d operations is not possible:%s", len(all), explain(m, part, info))
		}
	}
	return fmt.Errorf("whether a history of %d operations is possible was not found out within %v: %v", len(all), patience, result)
}

// explain tells how far the longest order goes that porcupine has found.
func explain(m porcupine.Model, all []porcupine.Operation, info porcupine.LinearizationInfo) (text string) {
	var longest []porcupine.Operation
	for _, partial := range info.PartialLinearizationsOperations()[0] {
		if len(partial) > len(longest) {
			longest = partial
		}
	}
	type name struct {
		client int
		call   int64
	}
	placed := make(map[name]bool)
	for _, o := range longest {
		placed[name{o.ClientId, o.Call}] = true
	}
	var stuck *porcupine.Operation
	for i, o := range all {
		if !placed[name{o.ClientId, o.Call}] && (stuck == nil || o.Return < stuck.Return) {
			stuck = &all[i]
		}
	}
	line := func(what string, o porcupine.Operation) {
		text += fmt.Sprintf("\n%s client %d, %v to %v: %s", what, o.ClientId, time.Duration(o.Call), time.Duration(o.Return), m.DescribeOperation(o.Input, o.Output))
	}
	const last = 12
	for _, o := range longest[max(0, len(longest)-last):] {
		line("after", o)
	}
	if stuck != nil {
		line("not  ", *stuck)
	}
	return text
}
