# Simulated responses and bootstraps of six generalized mixed models by lme4 and
# glmmTMB, of all models or of those named as arguments:
#
#     Rscript tests/reference/generalized_replicates.R > tests/reference/generalized_replicates.json

source("tests/reference/generalized_models.R")

# what glmmTMB lists by part of the model
conditional <- function(x) if ("cond" %in% names(x)) x$cond else x
# counts of successes, or the response
successes <- function(y) {
  if (is.matrix(y)) y[, 1] else if (is.factor(y)) y == levels(y)[2] else y
}
shares <- function(observed, simulated) {
  list(
    observed = observed, mean = mean(simulated), sd = sd(simulated),
    upper = mean(simulated >= observed), lower = mean(simulated <= observed)
  )
}
# responses with new random effects, compared with means at random effects of zero
simulations <- function(m, nsim = 4000) {
  frame <- model.frame(m)
  response <- model.response(frame)
  y <- successes(response)
  drawn <- vapply(simulate(m, nsim), function(d) as.numeric(successes(d)), 0 * y)
  trials <- if (is.matrix(response)) rowSums(response) else 1
  centre <- trials * predict(m, re.form = NA, type = "response")
  spread <- function(y) sqrt(mean((y - centre - mean(y - centre))^2))
  rows <- floor(seq(1, length(y), length.out = 15))
  group <- frame[[names(conditional(ranef(m)))[1]]]
  sums <- function(y) drop(rowsum(as.numeric(y), group))[1:10]
  of_groups <- apply(drawn, 2, sums)
  list(
    nsim = nsim,
    spread = shares(spread(y), apply(drawn, 2, spread)),
    zeros = shares(sum(y == 0), colSums(drawn == 0)),
    rows = rows - 1,
    below = rowMeans(drawn < y)[rows], equal = rowMeans(drawn == y)[rows],
    groups = names(sums(y)),
    group_below = unname(rowMeans(of_groups < sums(y))),
    group_equal = unname(rowMeans(of_groups == sums(y)))
  )
}

# fixed effects, standard deviations of the random effects, and what the family has
parameters <- function(m) {
  fixed <- conditional(fixef(m))
  sds <- sapply(conditional(VarCorr(m)), function(v) attr(v, "stddev")[[1]])
  names(fixed) <- gsub("[()]", "", names(fixed))
  names(sds) <- paste0(names(sds), ": sd Intercept")
  extra <- switch(family(m)$family,
    nbinom2 = c(alpha = 1 / sigma(m)), Gamma = c(sigma = sigma(m))
  )
  c(fixed, sds, extra)
}
# refits by tolerances that are far below the errors of the bootstrap
quick <- glmerControl("bobyqa")
bootstrap <- function(m, nsim) {
  if (!inherits(m, "glmmTMB")) m <- update(m, control = quick)
  draws <- bootMer(m, parameters, nsim)$t
  draws <- draws[complete.cases(draws), ]
  limits <- apply(draws, 2, quantile, c(0.025, 0.25, 0.5, 0.75, 0.975))
  limits <- as.data.frame(signif(limits, 6), optional = TRUE)
  list(nsim = nrow(draws), quantiles = as.list(limits))
}

nsim <- c(
  cbpp = 1000, contraception = 100, grouseticks = 150, carrots = 1000, epil = 400,
  rats = 400
)
asked <- commandArgs(TRUE)
if (length(asked) == 0) asked <- names(models)
out <- lapply(setNames(asked, asked), function(name) {
  set.seed(20)
  m <- models[[name]]
  list(residuals = simulations(m), bootstrap = bootstrap(m, nsim[[name]]))
})
cat(toJSON(c(list(made_by = made_by), out), digits = 7, auto_unbox = TRUE), "\n")
