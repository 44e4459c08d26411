# Computes every value of r_values.json with real R: `Rscript tests/stats/reference/values.R`.
# Debian 12: apt-get install r-base-core r-cran-{boot,clubsandwich,sandwich,coin,exactranktests,effectsize,metafor,
# mvtnorm,multcomp,psych,vcd,vgam,epi,spc,strucchange,bradleyterry2,psychotools,rpact,lme4,geepack,estimatr,survey,pwr,tseries,emoa,mass,
# epir,jsonlite}. R is asked for numbers only: nothing of it is part of the product.
suppressMessages({
  library(boot); library(clubSandwich); library(sandwich); library(coin); library(exactRankTests); library(effectsize)
  library(metafor); library(mvtnorm); library(multcomp); library(vcd); library(spc); library(strucchange); library(BradleyTerry2)
  library(psychotools); library(rpact); library(lme4); library(geepack); library(estimatr); library(survey)
  library(pwr); library(tseries); library(MASS)
})
out <- list()
add <- function(id, package, expr) {
  code <- paste(trimws(deparse(substitute(expr), width.cutoff = 500)), collapse = "\n")
  value <- tryCatch(as.numeric(unlist(eval.parent(substitute(expr)))), error = function(e) { message(id, ": ", e); NA })
  version <- if (package == "base") paste0("R ", getRversion()) else paste(package, packageVersion(package))
  out[[id]] <<- list(source = jsonlite::unbox(version), call = jsonlite::unbox(code), value = signif(value, 10))
}
set.seed(1)

# ---- one variant
darwin <- c(49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48)
some <- ChickWeight[c(1:5, 13:27, 37:57, 61:70), ]
chick <- some$weight; pen <- as.integer(as.character(some$Chick)); heavy <- some$Time + 1
add("data_chick", "base", c(chick, pen, heavy))
add("wilson", "base", prop.test(81, 263, correct = FALSE)$conf.int)
add("clopper_pearson", "base", binom.test(682, 925)$conf.int)
add("jeffreys", "base", qbeta(c(0.025, 0.975), 13.5, 3.5))
add("mean_t", "base", t.test(darwin / 8)$conf.int)
add("cr0", "sandwich", sqrt(vcovCL(lm(chick ~ 1), pen, type = "HC0", cadjust = FALSE)))
add("cr1", "sandwich", sqrt(vcovCL(lm(chick ~ 1), pen, type = "HC0", cadjust = TRUE)))
add("cr2", "clubSandwich", unlist(coef_test(lm(chick ~ 1), vcovCR(lm(chick ~ 1), pen, "CR2"), "Satterthwaite")[c("SE", "df_Satt")]))
add("cr2_interval", "clubSandwich", unlist(conf_int(lm(chick ~ 1), vcovCR(lm(chick ~ 1), pen, "CR2"))[c("CI_L", "CI_U")]))
# Weights: clubSandwich on the scores times the root of the weight; lm(weights =) takes another root of the same matrix.
add("cr2_weighted", "clubSandwich", {
  fit <- lm(I(chick * sqrt(heavy)) ~ 0 + sqrt(heavy))
  unlist(coef_test(fit, vcovCR(fit, pen, "CR2"), "Satterthwaite")[c("beta", "SE", "df_Satt")])
})
add("cr2_two_sides", "clubSandwich", {
  arm <- as.integer(pen > 3)
  fit <- lm(chick ~ arm)
  unlist(coef_test(fit, vcovCR(fit, pen, "CR2"), "Satterthwaite")[2, c("beta", "SE")])
})
add("hc2_weighted", "sandwich", sqrt(vcovHC(lm(chick ~ 1, weights = heavy), type = "HC2")))
add("median_ranks", "base", sapply(c(6, 10, 15, 20, 25, 30, 50, 100), function(n) c(qbinom(0.025, n, 0.5), n + 1 - qbinom(0.025, n, 0.5))))
add("bootstrap_se", "boot", sd(boot(c(94, 197, 16, 38, 99, 141, 23), function(x, i) mean(x[i]), 2e5)$t))
add("bca", "boot", boot.ci(boot(darwin, function(x, i) mean(x[i]), 99999), type = "bca")$bca[4:5])
add("bootstrap_t", "boot", boot.ci(boot(darwin, function(x, i) c(mean(x[i]), var(x[i]) / 15), 99999), type = "stud")$student[4:5])

# ---- two variants, same items
add("mcnemar_asymptotic", "base", unlist(mcnemar.test(matrix(c(794, 86, 150, 570), 2), correct = FALSE)[c("statistic", "p.value")]))
add("mcnemar_continuity", "base", mcnemar.test(matrix(c(1, 7, 1, 12), 2))$p.value)
add("mcnemar_exact", "base", binom.test(6, 22)$p.value)
add("mcnemar_midp", "base", binom.test(6, 22)$p.value - dbinom(6, 22, 0.5))
add("paired_odds_ratio", "base", {
  ends <- binom.test(16, 22)$conf.int
  ends / (1 - ends)
})
add("paired_t", "base", unlist(t.test(darwin)[c("statistic", "p.value")]))
add("sign_flip", "exactRankTests", sapply(c("two.sided", "greater"), function(a) perm.test(darwin, rep(0L, 15), paired = TRUE, alternative = a, exact = TRUE)$p.value))
x <- c(1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30)
y <- c(0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29)
add("wilcoxon", "base", sapply(c("greater", "two.sided"), function(a) wilcox.test(x, y, paired = TRUE, alternative = a)$p.value))
add("hodges_lehmann", "base", {
  w <- wilcox.test(x, y, paired = TRUE, conf.int = TRUE)
  c(w$estimate, w$conf.int)
})
c45m <- c(768, 591, 971, 661, 888, 931, 668, 583, 838, 1000, 962, 666, 981, 978)
c45 <- c(763, 599, 954, 628, 882, 936, 661, 583, 775, 1000, 940, 619, 972, 957)
add("wilcoxon_ties", "exactRankTests", wilcox.exact(c45m, c45, paired = TRUE, exact = TRUE)$p.value)
add("wilcoxon_pratt", "coin", pvalue(wilcoxsign_test(c45m ~ c45, zero.method = "Pratt", distribution = "exact")))
add("wilcoxon_zeros_left_out", "coin", pvalue(wilcoxsign_test(c45m ~ c45, zero.method = "Wilcoxon", distribution = "exact")))
add("tost_paired", "base", max(t.test(darwin, mu = -45, alternative = "greater")$p.value, t.test(darwin, mu = 45, alternative = "less")$p.value))

# ---- two variants, different items
one <- sleep$extra[sleep$group == 1]; two <- sleep$extra[sleep$group == 2]
add("welch", "base", unlist(t.test(one, two)[c("statistic", "parameter", "p.value", "conf.int")]))
add("tost_welch", "base", max(t.test(one, two, mu = -4, alternative = "greater")$p.value, t.test(one, two, mu = 4, alternative = "less")$p.value))
add("fisher_two_sided", "base", fisher.test(matrix(c(2, 10, 15, 3), 2))$p.value)
add("fisher_less", "base", fisher.test(matrix(c(2, 10, 15, 3), 2), alternative = "less")$p.value)
add("n_minus_one_chi_square", "coin", statistic(independence_test(as.table(matrix(c(56, 48, 14, 32), 2)), teststat = "quadratic")))
rows <- rbind(c(56, 70, 48, 80), c(9, 10, 3, 10), c(6, 7, 2, 7), c(5, 56, 0, 29), c(0, 10, 0, 20), c(0, 10, 0, 10), c(10, 10, 0, 20), c(10, 10, 0, 10))
rates <- function(method) Epi::ci.pd(rows[, 1], rows[, 3], rows[, 2] - rows[, 1], rows[, 4] - rows[, 3], method = method, print = FALSE)[, 6:7]
add("newcombe", "Epi", rates("Nc"))
add("agresti_caffo", "Epi", pmin(rates("AC"), 1))
add("farrington_manning", "rpact", {
  m <- unlist(rpact:::.getFarringtonManningValues(83 / 90, 69 / 76, -0.1, 90 / 76, "diff")[c("ml1", "ml2")])
  (83 / 90 - 69 / 76 + 0.1) / sqrt(sum(m * (1 - m) / c(90, 76)))
})
add("homogeneity", "base", unlist(chisq.test(matrix(c(12, 30, 25, 8, 17, 28), 3))[c("statistic", "p.value")]))
add("srm", "base", chisq.test(c(821588, 815482))$p.value)
add("cohen_d", "effectsize", unlist(cohens_d(two, one)[c("Cohens_d", "CI_low", "CI_high")]))
add("hedges_g", "effectsize", unlist(hedges_g(two, one)[1]))
add("cohen_dz", "effectsize", unlist(cohens_d(darwin)[c("Cohens_d", "CI_low", "CI_high")]))
add("cliffs_delta", "effectsize", unlist(cliffs_delta(c(10, 10, 20, 20, 20, 30, 30, 30, 40, 50), c(10, 20, 30, 40, 40, 50))[1]))
add("cohen_h", "pwr", ES.h(0.65, 0.5))
add("odds_ratio", "epiR", unlist(epiR::epi.2by2(as.table(matrix(c(12.5, 5.5, 18.5, 23.5), 2)))$massoc.detail$OR.strata.wald[2:3]))

# ---- many variants
p5 <- c(0.001, 0.011, 0.012, 0.03, 0.2)
for (m in c("holm", "hochberg", "BH", "BY", "bonferroni")) {
  eval(bquote(add(.(paste0("adjust_", m)), "base", p.adjust(c(0.001, 0.011, 0.012, 0.03, 0.2), .(m)))))
}
blood <- data.frame(y = c(7.40, 8.50, 7.20, 8.24, 9.84, 8.32, 9.76, 8.80, 7.68, 9.36, 12.80, 9.68, 12.16, 9.20, 10.55), g = factor(rep(c("control", "drug A", "drug B"), c(6, 4, 5))))
add("dunnett", "multcomp", {
  fit <- glht(aov(y ~ g, blood), linfct = mcp(g = "Dunnett"))
  c(summary(fit)$test$pvalues, confint(fit)$confint[, 2:3])
})
add("tukey", "base", TukeyHSD(aov(y ~ g, blood))$g[, c("lwr", "upr", "p adj")])
add("tukey_quantiles", "base", qtukey(0.95, c(3, 4, 5, 10, 3, 2), c(10, 20, Inf, Inf, 2, 5)))
add("dunnett_quantiles", "mvtnorm", sapply(c(2, 3, 4), function(k) qmvt(0.95, tail = "both.tails", df = 10, corr = 0.5 + diag(0.5, k), algorithm = GenzBretz(2e5, 1e-5))$quantile))
add("nemenyi", "base", qtukey(0.95, 4, Inf) / sqrt(2) * sqrt(4 * 5 / (6 * 14)))
demsar <- cbind(c45, c45m, c(771, 590, 968, 654, 886, 916, 609, 563, 866, 1000, 965, 614, 975, 946), c(798, 569, 967, 657, 898, 931, 685, 625, 875, 1000, 962, 669, 974.9, 970))
add("friedman", "base", unlist(friedman.test(demsar)[c("statistic", "p.value")]))
passes <- matrix(c(1,1,0,0, 1,0,0,0, 1,1,1,0, 1,1,0,1, 0,0,0,0, 1,1,0,0, 1,0,1,0, 1,1,1,1, 1,1,0,0, 0,1,0,0), ncol = 4, byrow = TRUE)
add("cochran_q", "coin", {
  long <- data.frame(y = c(passes), v = factor(rep(1:4, each = 10)), b = factor(rep(1:10, 4)))
  unlist(c(statistic(symmetry_test(y ~ v | b, long, teststat = "quadratic")), pvalue(symmetry_test(y ~ v | b, long, teststat = "quadratic"))))
})
bcg <- escalc("RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg)
add("paule_mandel", "metafor", unlist(rma(yi, vi, data = bcg, method = "PM", control = list(tol = 1e-12))[c("tau2", "beta")]))
add("data_bcg", "metafor", c(bcg$yi, bcg$vi))
add("dersimonian_laird", "metafor", rma(yi, vi, data = bcg, method = "DL")$tau2)

# ---- factorial experiments
long <- subset(oats, N %in% c("0.0cwt", "0.6cwt"))
long <- with(long, data.frame(y = Y, id = B, s = as.integer(N == "0.6cwt"), d = factor(as.integer(V))))
long <- long[order(long$id, long$d, long$s), ]
add("data_oats", "MASS", long$y)
add("within_anova", "base", summary(aov(y ~ factor(s) * d + Error(id / (factor(s) * d)), long))[["Error: id:factor(s)"]][[1]][1, c("F value", "Pr(>F)")])
add("hotelling", "base", anova(lm(t(sapply(split(long, long$id), function(u) tapply(u$y, u$d, mean)[2:3] - mean(u$y[u$d == 1]))) ~ 1), test = "Hotelling-Lawley")[1, c("approx F", "Pr(>F)")])
add("mancl_derouen", "clubSandwich", {
  fit <- lm(y ~ I(s - 0.5) * C(d, contr.sum), long)
  unlist(coef_test(fit, vcovCR(fit, long$id, "CR3"), "naive-t")[2, c("beta", "SE")])
})
add("gee", "geepack", summary(geeglm(weight ~ Time, id = Chick, data = ChickWeight[ChickWeight$Time %in% c(0, 21) & !ChickWeight$Chick %in% c(8, 15, 16, 18, 44), ]))$coefficients[2, 1:2] * 21)
add("data_grown", "base", with(ChickWeight[!ChickWeight$Chick %in% c(8, 15, 16, 18, 44), ], c(weight[Time == 0], weight[Time == 21])))
add("mixed", "lme4", coef(summary(lmer(y ~ I(s - 0.5) * C(d, contr.sum) + (1 | id), long)))[2, 1:2])

# ---- planning
add("power_t", "base", sapply(c(20, 22, 23), function(n) power.t.test(n, 1)$power))
add("power_paired", "base", sapply(c(33, 34), function(n) power.t.test(n, 0.5, type = "paired")$power))
add("power_unequal", "pwr", pwr.t2n.test(28, 35, d = 0.6)$power)
add("power_prop", "base", power.prop.test(500, 0.5, 0.6)$power)
add("variance_dyestuff", "lme4", as.data.frame(VarCorr(lmer(Yield ~ 1 + (1 | Batch), Dyestuff)))$vcov)
add("variance_pastes", "lme4", as.data.frame(VarCorr(lmer(strength ~ 1 + (1 | batch / cask), Pastes)))$vcov[c(2, 1, 3)])
add("data_dyestuff", "lme4", Dyestuff$Yield)
add("data_pastes", "lme4", Pastes$strength)
add("obf_inflation", "rpact", sapply(2:5, function(k) getDesignCharacteristics(getDesignGroupSequential(kMax = k, alpha = 0.025, beta = 0.2, typeOfDesign = "OF"))$inflationFactor))

# ---- watched comparisons
bounds <- function(kind, k = 5, ...) getDesignGroupSequential(kMax = k, alpha = 0.025, typeOfDesign = kind, ...)$criticalValues
add("pocock", "rpact", bounds("P"))
add("obrien_fleming", "rpact", bounds("OF"))
add("lan_demets_obrien_fleming", "rpact", bounds("asOF"))
add("lan_demets_pocock", "rpact", bounds("asP"))
add("power_family", "rpact", bounds("asKD", gammaA = 3))
add("uneven_looks", "rpact", getDesignGroupSequential(informationRates = c(0.2, 0.5, 0.7, 1), alpha = 0.025, typeOfDesign = "asOF")$criticalValues)
add("spent", "rpact", 2 * getDesignGroupSequential(kMax = 5, alpha = 0.025, typeOfDesign = "asOF")$alphaSpent)
add("repeated_tests", "mvtnorm", sapply(c(2, 3, 4, 5, 10), function(k) 1 - pmvnorm(rep(-1.959964, k), rep(1.959964, k), corr = outer(1:k, 1:k, function(i, j) sqrt(pmin(i, j) / pmax(i, j))), algorithm = GenzBretz(3e5, 1e-5))))
flips <- c(0,1,1,0,1,0,0,0,1,1,1,0,1,1,0,0,1,0,1,1,0,0,0,1,0,1,1,1,1,0,1,0,0,1,1,0,1,1,0,1)
add("runs", "tseries", runs.test(factor(flips))$statistic)
add("beta_mixture", "base", integrate(function(t) t^21 * (1 - t)^7, 0, 1, rel.tol = 1e-10)$value * 2^28)

# ---- rankings
add("bradley_terry", "BradleyTerry2", coef(summary(BTm(cbind(home.wins, away.wins), home.team, away.team, data = baseball, id = "team")))[, 1:2])
add("bradley_terry_order", "BradleyTerry2", {
  home <- baseball
  home$home.team <- data.frame(team = baseball$home.team, at.home = 1)
  home$away.team <- data.frame(team = baseball$away.team, at.home = 0)
  coef(summary(BTm(cbind(home.wins, away.wins), home.team, away.team, ~ team + at.home, id = "team", data = home)))[, 1:2]
})
chess <- data.frame(a = c(1, 2, 1, 3, 2, 3), b = c(2, 1, 3, 1, 3, 2), win = c(14, 7, 11, 6, 9, 8), tie = c(6, 5, 4, 8, 3, 7), loss = c(5, 10, 9, 12, 6, 11))
add("davidson", "base", {
  cell <- with(chess, data.frame(n = c(win, tie, loss), game = factor(rep(1:6, 3)), t = rep(0:2, each = 6) == 1, side = rep(c(0.5, 0, -0.5), each = 6), a = rep(a, 3), b = rep(b, 3)))
  s <- function(k) with(cell, ((a == k) - (b == k)) * side)
  fit <- glm(n ~ game + t + side + I(s(1)) + I(s(2)), poisson, cell, control = list(epsilon = 1e-12))
  c(coef(summary(fit))[c("tTRUE", "side", "I(s(1))", "I(s(2))"), 1:2])
})
add("rao_kupper", "MASS", {
  long <- with(chess, data.frame(y = ordered(rep(0:2, each = 6)), n = c(loss, tie, win), s1 = rep((a == 1) - (b == 1), 3), s2 = rep((a == 2) - (b == 2), 3)))
  fit <- polr(y ~ s1 + s2, long, weights = n, Hess = TRUE, control = list(reltol = 1e-14))
  c(coef(fit), (fit$zeta[2] - fit$zeta[1]) / 2, -(fit$zeta[1] + fit$zeta[2]) / 2)
})
add("rao_kupper_se", "VGAM", {
  wide <- transform(chess, s1 = (a == 1) - (b == 1), s2 = (a == 2) - (b == 2))
  sqrt(diag(VGAM::vcov(VGAM::vglm(cbind(loss, tie, win) ~ s1 + s2, VGAM::cumulative(parallel = TRUE), wide, epsilon = 1e-12))))[3:4]
})

# ---- judges
two_raters <- matrix(c(44, 7, 3, 6, 30, 9, 1, 4, 21), 3, byrow = TRUE)
add("kappa", "vcd", unlist(Kappa(two_raters)$Unweighted))
add("kappa_linear", "vcd", unlist(Kappa(two_raters, weights = "Equal-Spacing")$Weighted))
add("kappa_quadratic", "vcd", unlist(Kappa(two_raters, weights = "Fleiss-Cohen")$Weighted))
add("kappa_fleiss_table", "psych", psych::cohen.kappa(matrix(c(75, 1, 4, 5, 4, 1, 0, 0, 10), 3, byrow = TRUE))$kappa)
ratings <- matrix(c(9, 2, 5, 8, 6, 1, 3, 2, 8, 4, 6, 8, 7, 1, 2, 6, 10, 5, 6, 9, 6, 2, 4, 7), ncol = 4, byrow = TRUE)
add("icc", "psych", as.matrix(suppressMessages(psych::ICC(ratings, lmer = FALSE))$results[, c("ICC", "lower bound", "upper bound")]))
add("rogan_gladen", "epiR", suppressWarnings(epiR::epi.prev(310, 1000, se = 0.9, sp = 0.9, method = "wilson"))$tp[1] / 100)

# ---- live traffic
add("data_mtcars", "base", as.matrix(mtcars[c("mpg", "wt", "am", "hp")]))
add("lin", "estimatr", {
  fit <- lm_lin(mpg ~ am, covariates = ~ wt + hp, data = mtcars, se_type = "HC2")
  c(fit$coefficients["am"], fit$std.error["am"])
})
add("cuped", "base", {
  within <- lm(mpg ~ am + wt, mtcars)
  unlist(t.test(I(mpg - coef(within)["wt"] * wt) ~ factor(am, c(1, 0)), mtcars)[c("p.value", "conf.int")])
})
add("fieller", "base", sapply(list(c(1, 3.4), c(3.6, 30)), function(ends) uniroot(function(r) abs(t.test(mtcars$mpg - r * mtcars$wt)$statistic) - qt(0.975, 31), sort(ends * 0 + if (ends[1] == 1) c(1, sum(mtcars$mpg) / sum(mtcars$wt)) else c(sum(mtcars$mpg) / sum(mtcars$wt), 40)), tol = 1e-11)$root))
add("ratio_delta", "survey", unlist(c(coef(svyratio(~mpg, ~wt, svydesign(~1, data = mtcars, weights = ~ rep(1, 32)))), SE(svyratio(~mpg, ~wt, svydesign(~1, data = mtcars, weights = ~ rep(1, 32)))))))
flowers <- transform(iris, plot = rep(1:30, 5))
add("data_iris", "base", c(iris$Petal.Length, iris$Sepal.Width))
add("snips", "survey", {
  found <- svymean(~Petal.Length, svydesign(~1, data = flowers, weights = ~Sepal.Width))
  c(coef(found), SE(found))
})
add("snips_clusters", "survey", {
  found <- svymean(~Petal.Length, svydesign(~plot, data = flowers, weights = ~Sepal.Width))
  c(coef(found), SE(found))
})

# ---- over time
add("cusum_run_lengths", "spc", sapply(c(0, 0.25, 0.5, 0.75, 1, 1.5, 2, 3), function(m) sapply(c(4, 5), function(h) xcusum.arl(0.5, h, m, sided = "two"))))
add("ewma_run_lengths", "spc", mapply(function(l, c, m) xewma.arl(l, c, m, sided = "two"), c(0.4, 0.25, 0.2, 0.1, 0.05, 0.4, 0.25, 0.2, 0.1, 0.05, 0.1, 0.1), c(3.054, 2.998, 2.962, 2.814, 2.615, 3.054, 2.998, 2.962, 2.814, 2.615, 2.814, 2.814), c(0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0.5, 2)))
add("shewhart_run_lengths", "base", 1 / (2 * pnorm(-3)) * c(1, 2 * pnorm(-3) / (pnorm(-4) + pnorm(-2))))
add("nile", "strucchange", c(breakpoints(Nile ~ 1, breaks = 1)$breakpoints, mean(Nile[1:28]), mean(Nile[29:100])))

# ---- trade-offs and items
add("pass_at_k", "base", 1 - phyper(0, c(0, 1, 3, 7), 10 - c(0, 1, 3, 7), 4))
add("pass_hat_k", "base", dhyper(4, c(4, 7, 9, 10), 10 - c(4, 7, 9, 10), 4))
add("pareto", "emoa", emoa::is_dominated(rbind(-mtcars$mpg, mtcars$wt, mtcars$hp)))
add("cronbach", "psych", {
  counts <- c(3, 6, 2, 11, 1, 1, 3, 4, 1, 8, 0, 16, 0, 3, 2, 15, 10, 29, 14, 81, 3, 28, 15, 80, 16, 56, 21, 173, 11, 61, 28, 298)
  lsat <- t(sapply(rep(0:31, counts), function(v) as.integer(intToBits(v))[5:1]))
  a <- suppressWarnings(psych::alpha(as.data.frame(lsat)))
  c(a$total$raw_alpha, a$alpha.drop$raw_alpha, a$item.stats$r.drop)
})
add("evan_miller", "base", {
  i <- 0:60
  sum(exp(lbeta(51 + i, 92) - log(41 + i) - lbeta(1 + i, 41) - lbeta(51, 51)))
})
add("beta_greater", "base", integrate(function(t) dbeta(t, 61, 41) * pbeta(t, 51, 51), 0, 1, rel.tol = 1e-10)$value)
add("expected_loss", "base", integrate(function(t) dbeta(t, 51, 51) * sapply(t, function(u) integrate(function(s) (u - s) * dbeta(s, 61, 41), 0, u, rel.tol = 1e-9)$value), 0, 1, rel.tol = 1e-7)$value)

here <- sub("--file=", "", grep("--file=", commandArgs(), value = TRUE))
lines <- sapply(names(out), function(id) paste0('"', id, '": ', jsonlite::toJSON(out[[id]], digits = NA)))
writeLines(c("{", paste(lines, collapse = ",\n"), "}"), file.path(dirname(here), "r_values.json"))
cat(length(out), "values\n")
