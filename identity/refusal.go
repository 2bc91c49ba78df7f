package identity

// Refusal is why a statement does not count. Every error of this package about statements is one of these, for
// errors.Is, beside its code: Untrusted where something is not proven, Denied where a good ticket does not allow what
// was asked.
type Refusal string

// The refusals.
const (
	RefusedForm      Refusal = "it is malformed"                              // Untrusted
	RefusedChain     Refusal = "it does not follow from the realm's key"      // Untrusted
	RefusedSignature Refusal = "its signature is wrong"                       // Untrusted
	RefusedExpired   Refusal = "it expired"                                   // Untrusted
	RefusedFuture    Refusal = "it is from the future"                        // Untrusted
	RefusedRevoked   Refusal = "the realm revoked a key that it goes through" // Untrusted
	RefusedHolder    Refusal = "it was made for another key"                  // Untrusted for a server, Denied for a ticket
	RefusedGroup     Refusal = "it was made for another group"                // Denied
	RefusedEpoch     Refusal = "the group's members have changed since"       // Denied
	RefusedRights    Refusal = "it does not give this right"                  // Denied
)

func (r Refusal) Error() string { return string(r) }
