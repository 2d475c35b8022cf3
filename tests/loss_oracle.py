"""Losses in plain Python, one number at a time."""

import math


def softmax(row, tau=1.0):
    e = [math.exp((v - max(row)) / tau) for v in row]
    return [v / sum(e) for v in e]


def kl(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def cross_entropy(logits, labels):
    return sum(-math.log(softmax(row)[y]) for row, y in zip(logits, labels, strict=True)) / len(logits)


def kl_divergence(logits, teacher, tau, direction="forward", tau2=True, double_softmax=False, weights=None):
    total = 0.0
    for i, (s, t) in enumerate(zip(logits, teacher, strict=True)):
        p, q = softmax(softmax(t) if double_softmax else t, tau), softmax(s, tau)
        total += (1 if weights is None else weights[i]) * (kl(p, q) if direction == "forward" else kl(q, p))
    return (tau**2 if tau2 else 1) * total / len(logits)


def soft_cross_entropy(logits, teacher, tau):
    total = 0.0
    for s, t in zip(logits, teacher, strict=True):
        total -= sum(a * math.log(b) for a, b in zip(softmax(t, tau), softmax(s, tau), strict=True))
    return tau**2 * total / len(logits)


def soft_label_weights(logits, teacher, labels):
    out = []
    for s, t, y in zip(logits, teacher, labels, strict=True):
        out.append(1 - math.exp(math.log(softmax(s)[y]) / (1e-7 - math.log(softmax(t)[y]))))
    return out


def brier_score(logits, labels):
    total, entries = 0.0, 0
    for row, y in zip(logits, labels, strict=True):
        for c, p in enumerate(softmax(row)):
            total += (p - (c == y)) ** 2
            entries += 1
    return total / entries


def reliable_teachers(heads, labels, tau, space):
    """Probabilities for each sample, or None."""
    teachers = []
    for b, y in enumerate(labels):
        right = [list(head[b]) for head in heads if list(head[b]).index(max(head[b])) == y]
        if space == "prob":
            right = [softmax(row, tau) for row in right]
        mean = [sum(v) / (1 if space == "logit_sum" else len(right)) for v in zip(*right, strict=True)]
        if not right or sum(abs(v) for v in mean) <= 1e-6:
            teachers.append(None)
        else:
            teachers.append(mean if space == "prob" else softmax(mean, tau))
    return teachers


def towards(heads, teachers, tau, norm, eta, regulariser):
    """Self-distillation of heads from teachers that stand still."""
    total, batch = 0.0, len(teachers)
    taught = sum(p is not None for p in teachers) if norm == "valid" else batch
    for head in heads:
        for row, p in zip(head, teachers, strict=True):
            q = softmax(row, tau)
            uniform = [1 / len(q)] * len(q)
            if p is not None:
                total += kl(p, q) / taught
            elif regulariser == "uniform":
                total += eta * kl(uniform, q) / batch
            else:
                entropy = -sum(v * math.log(v) for v in q)
                total += eta * (math.log(len(q)) - entropy) / batch
    return tau**2 * total


def temporal_cross_entropy(outputs, labels, lam, phi):
    ticks = [[sample[t] for sample in outputs] for t in range(len(outputs[0]))]
    entries = [v for sample in outputs for tick in sample for v in tick]
    spread = sum((v - phi) ** 2 for v in entries) / len(entries)
    return (1 - lam) * sum(cross_entropy(o, labels) for o in ticks) / len(ticks) + lam * spread


def windows(ticks, window, ends):
    if ends == "valid":
        return [range(i, i + window) for i in range(ticks - window + 1)]
    return [range(i, min(i + window, ticks)) for i in range(ticks)]


def sliding(student, teacher, window, ends, m):
    """Sums over samples, classes and windows of L1 or L2 norms; a window of 1 gives the full L1."""
    total = 0.0
    for s, t in zip(student, teacher, strict=True):
        for c in range(len(s[0])):
            for span in windows(len(s), window, ends):
                total += sum(abs(float(s[i][c]) - float(t[i][c])) ** m for i in span) ** (1 / m)
    return total


def squares(student, teacher):
    total = 0.0
    for s, t in zip(student, teacher, strict=True):
        for a, b in zip(s, t, strict=True):
            total += sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True))
    return total


def feature_distance(student, teacher, norm):
    samples = [
        sum((a - b) ** 2 for a, b in zip(s, t, strict=True))
        for s, t in zip(student.reshape(len(student), -1), teacher.reshape(len(student), -1), strict=True)
    ]
    if norm == "sample":
        return sum(math.sqrt(v) for v in samples) / len(samples)
    return math.sqrt(sum(samples)) if norm == "batch" else sum(samples) / student.size


def partial_l2(student, teacher):
    total = 0.0
    for s, t in zip(student.flat, teacher.flat, strict=True):
        if not s <= t <= 0:
            total += (t - s) ** 2
    return total / len(student)


def margins(maps):
    out = []
    for channel in maps.reshape(-1, maps.shape[-1]).T:
        negative = [v for v in channel if v < 0]
        out.append(sum(negative) / len(negative) if negative else 0.0)
    return out
